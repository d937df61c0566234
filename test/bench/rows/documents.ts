import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, pairs, type Figure } from '../figure.ts';
import { ran, startModel } from '../processes.ts';
import { best, interleave, type Run } from '../run.ts';
import { documentsPerS, longWarmUp, startSystem, type Servers } from '../service.ts';

const CHOICES = [32, 64, 128, 256];

/** One time says little of a choice: two that lie side by side differ by less than a machine does from minute to minute. */
const SEARCH_TIMES = 3;

/** Documents a second of the script in `script.ts`. */
async function scriptPerS(
  servers: Servers,
  options: {
    readonly documents: number;
    readonly warmUp: number;
    readonly concurrency: number;
    readonly keeps: boolean;
    readonly times: number;
  },
): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-script-'));
  const { seconds } = await ran<{ seconds: number[] }>('script.ts', {
    DRAFTER: servers.drafter.baseURL,
    EXPERT: servers.expert.baseURL,
    DOCUMENTS: String(options.documents),
    WARM_UP: String(options.warmUp),
    CONCURRENCY: String(options.concurrency),
    TIMES: String(options.times),
    RESULTS: options.keeps ? join(directory, 'results.jsonl') : '',
  });
  await rm(directory, { recursive: true, force: true });
  return options.documents / median(seconds);
}

/**
 * Documents a second, a quarter of them escalated, on servers that answer at once and share the cores: the whole service
 * against the script that one would write, which is asked both to append its results to a file and to keep nothing. Each has
 * the concurrency that is best for it, searched for in this run.
 */
export async function measureDocuments(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 2_000 : 20_000;
  const search = documents / 2;
  const warmUpDocuments = longWarmUp(run);
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  const servers = { drafter, expert };
  const chosenForScript = (keeps: boolean): Promise<number> =>
    best(CHOICES, (concurrency) =>
      scriptPerS(servers, { documents: search, warmUp: warmUpDocuments, concurrency, keeps, times: SEARCH_TIMES }),
    );
  const [keeping, forgetting] = [await chosenForScript(true), await chosenForScript(false)];
  const chosen = await best(CHOICES, async (concurrency) => {
    await using system = await startSystem(servers, concurrency, { warmUpDocuments });
    const rates: number[] = [];
    while (rates.length < SEARCH_TIMES) rates.push(await documentsPerS(system, search));
    return median(rates);
  });
  await using system = await startSystem(servers, chosen, { warmUpDocuments });
  const once = { documents, warmUp: warmUpDocuments, times: 1 };
  const found = await interleave(run, {
    service: () => documentsPerS(system, documents),
    keeping: () => scriptPerS(servers, { ...once, concurrency: keeping, keeps: true }),
    forgetting: () => scriptPerS(servers, { ...once, concurrency: forgetting, keeps: false }),
  });
  const line = { figure: 'documents, 25 % escalated, instant servers', unit: '/s' };
  return [
    {
      ...line,
      reference: 'a script that appends its results to a file',
      rounds: pairs(found.service, found.keeping),
      aim: { atLeast: 1.5 },
      notes: [`${chosen} calls at a time of each tier; the script ${keeping} documents at a time`],
    },
    {
      ...line,
      reference: 'a script that keeps nothing',
      rounds: pairs(found.service, found.forgetting),
      aim: { atLeast: 1 },
      notes: [`the script ${forgetting} documents at a time`],
    },
  ];
}
