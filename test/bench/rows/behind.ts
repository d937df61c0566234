import { pairs, type Figure, type Pair } from '../figure.ts';
import { startModel } from '../processes.ts';
import type { Run } from '../run.ts';
import { MAX_MS, secondsOf, settledOf, startSystem, submitMany } from '../service.ts';

const CONCURRENCY = 16;
const SMALL = 20;
/** Some seconds' work is done by then, so that the queues are as full as they get. */
const BEGUN = 2_000;

/** How long twenty documents take that come behind very many, against twenty alone. */
export async function measureBehind(run: Run): Promise<Figure[]> {
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  await using system = await startSystem({ drafter, expert }, CONCURRENCY);
  const small = async (): Promise<number> => secondsOf(system, await submitMany(system, SMALL));
  const alone: number[] = [];
  for (let round = 0; round < run.rounds; round += 1) alone.push(await small());
  const id = await submitMany(system, run.large);
  const begun = await system.settled(id, (batch) => settledOf(batch) >= BEGUN, MAX_MS);
  const behind: number[] = [];
  for (let round = 0; round < run.rounds; round += 1) {
    behind.push(await small());
    run.tell(
      `round ${round + 1} of ${run.rounds}: ${behind.at(-1)?.toFixed(3)} s, alone ${alone[round]?.toFixed(3)} s`,
    );
  }
  const left = run.large - settledOf(await system.client.batches.retrieve(id));
  const rounds: Pair[] = pairs(behind, alone);
  return [
    {
      figure: `20 documents behind ${run.large.toLocaleString('en-US')}`,
      reference: '20 alone',
      unit: 's',
      rounds: left > 0 ? rounds : [],
      aim: { atMost: 1.5 },
      notes: [
        left > 0
          ? `${settledOf(begun).toLocaleString('en-US')} were settled before the first, ${left.toLocaleString('en-US')} were left behind the last`
          : 'the large batch had ended before the last round: it takes a larger one (--large)',
      ],
    },
  ];
}
