import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { SetupError, type Env } from '@spillway/runtime';
import { demoDocuments, type DemoDocument } from '../documents/index.ts';
import { makeDirectory } from '../local/data.ts';
import { logView } from '../local/log-view.ts';
import { unlessStopped, watchStopSignals } from '../local/stop-signals.ts';
import { System } from '../local/system.ts';
import { askSingleModel } from './single-model.ts';
import { describeRefusal, download, follow, submit, type Downloads } from './batch.ts';
import { CASCADE, DEMO } from './cascade.ts';
import { copyInput, writeDocuments } from './input.ts';
import { HELP, readOptions, type DemoOptions } from './options.ts';
import { readOutcomes, type Outcome } from './results.ts';
import { Screen } from './screen.ts';
import { startDemoSystem, type DemoPlan, type DemoSystem } from './demo-system.ts';
import { duration, summarize, type SummaryFacts } from './summary.ts';
import { tally } from './tally.ts';

/** Nobody waits for the work in flight of a demo that is over. */
const MAX_STOP_MS = 5_000;

/** What `spillway.yaml` calls the cascade of the embedded models. */
const STARTED_CASCADE = 'documents';

/** Which of the generator's bundles is shown: the same documents each time. */
const SEED = 1;

/** Runs the demo; answers the exit code. Whatever happens, nothing is left running and nothing but the results stays. */
export async function runDemo(env: Env, args: readonly string[]): Promise<number> {
  const options = readOptions(args, env);
  if (options.kind === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.kind === 'written') {
    await writeDocuments(options.path, demoDocuments(options.count, SEED), STARTED_CASCADE);
    process.stdout.write(`${options.count.toLocaleString('en-US')} documents in ${options.path}\n`);
    return 0;
  }
  const screen = new Screen(process.stdout);
  const results = resolve('.spillway', 'demo');
  await makeDirectory(results);
  const place = await mkdtemp(join(tmpdir(), 'spillway-demo-'));
  const tell = (text: string): void => screen.line(text);
  const system = new System({ onDeath: 'fail', tell, onLine: logView(env, tell), stopLimitMs: MAX_STOP_MS });
  using stop = watchStopSignals(() => {
    system.kill();
    rmSync(place, { recursive: true, force: true });
    process.exit(1);
  });
  const over = new AbortController();
  const signal = AbortSignal.any([stop.signal, over.signal]);
  const cleanup = new AsyncDisposableStack();
  const work = perform({ env, place, system, cleanup, screen, signal }, options, results);
  try {
    await unlessStopped(stop.signal, Promise.race([work, system.failure]));
  } finally {
    over.abort();
    await system.stop();
    // What it still does fails now that all is gone; its directory must not be removed under its hands.
    await work.catch(() => undefined);
    await cleanup.disposeAsync();
    await rm(place, { recursive: true, force: true, maxRetries: 5 });
  }
  return 0;
}

type Played = Exclude<DemoOptions, { kind: 'help' | 'written' }>;

async function perform(plan: DemoPlan, options: Played, results: string): Promise<void> {
  const { screen, signal, place } = plan;
  const clock = stopwatch();
  const path = join(place, 'documents.jsonl');
  const documents = options.kind === 'generated' ? demoDocuments(options.count, SEED) : null;
  if (documents !== null) await writeDocuments(path, documents, CASCADE);
  else if (options.kind === 'file') await copyInput(options.path, path, CASCADE, signal);

  screen.line('Starting Redis, two embedded models, the API, a dispatcher, a drafter and an expert');
  const demo = await startDemoSystem(plan);
  screen.line(`  ready after ${duration(clock())}`);

  const what =
    options.kind === 'generated' ? `${options.count.toLocaleString('en-US')} generated documents` : options.path;
  screen.line(`Sending ${what} as one batch: drafter ${DEMO.drafter.model}, expert ${DEMO.expert.model}`);
  const created = await submit(demo.api, path, signal);
  const batch = await follow(demo.api, demo.redis, created.id, plan);
  const batchMs = clock();
  if (batch.status !== 'completed') throw new SetupError(describeRefusal(batch));
  screen.line(`  completed after ${duration(batchMs)}`);
  const files = await download(demo.api, batch, results, signal);

  const singleModels = documents === null ? null : await askSingleModels(demo, documents, plan);
  if (singleModels !== null) screen.line(`  asked after ${duration(clock())}`);
  const truths = documents === null ? null : new Map(documents.map(({ customId, truth }) => [customId, truth]));
  const shown = { output: shownPath(files.output), errors: shownPath(files.errors) };
  screen.line();
  for (const text of summarize({
    tally: await tally(outcomesOf(files), truths),
    batchMs,
    singleModels,
    files: shown,
  })) {
    screen.line(text);
  }
}

/** Asks each model for every document, after the batch, so that neither takes the other's processor. */
async function askSingleModels(
  { models }: DemoSystem,
  documents: readonly DemoDocument[],
  { screen, signal }: DemoPlan,
): Promise<SummaryFacts['singleModels']> {
  screen.line('Asking each model by itself, to compare with');
  const ask = (model: string) => askSingleModel(models, model, documents, { screen, label: model, signal });
  return { drafter: await ask(DEMO.drafter.model), expert: await ask(DEMO.expert.model) };
}

async function* outcomesOf(files: Downloads): AsyncGenerator<{ outcome: Outcome; failed: boolean }> {
  if (files.output !== null) for await (const outcome of readOutcomes(files.output)) yield { outcome, failed: false };
  if (files.errors !== null) for await (const outcome of readOutcomes(files.errors)) yield { outcome, failed: true };
}

const shownPath = (path: string | null): string | null => (path === null ? null : `./${relative('.', path)}`);

/** Milliseconds since the last call. */
function stopwatch(): () => number {
  let since = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - since;
    since = now;
    return ms;
  };
}
