import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCrashingServer } from '../support/crashing-server.ts';
import { System, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const NEIGHBOURS = 200;

/** Neighbours that an attempt was used up of, or that failed. */
const payers = (lines: readonly ResultLine[], stage: number): string[] =>
  lines
    .filter(({ cascade, error }) => error !== null || cascade?.stages[stage]?.attempts !== 1)
    .map(({ custom_id }) => custom_id);

type Shape = {
  readonly role: 'drafter' | 'expert';
  readonly guilty: number;
  readonly workers: number;
  readonly latencyMs: (index: number) => number;
};

/** SPILLWAY_CRASHES=all: every shape, with a server that is away as long as one that loads its model anew. */
const isWhole = process.env['SPILLWAY_CRASHES'] === 'all';
const AWAY_MS = isWhole ? 1_000 : 300;

const quick = (): number => 50;
const mixed = (index: number): number => (index % 10 === 0 ? 1_000 : 50);

const SHAPES: readonly Shape[] = isWhole
  ? (['drafter', 'expert'] as const).flatMap((role) =>
      [1, 3].flatMap((guilty) =>
        [1, 2].flatMap((workers) => [quick, mixed].map((latencyMs) => ({ role, guilty, workers, latencyMs }))),
      ),
    )
  : [
      { role: 'expert', guilty: 1, workers: 1, latencyMs: mixed },
      { role: 'drafter', guilty: 3, workers: 2, latencyMs: quick },
    ];

for (const { role, guilty, workers, latencyMs } of SHAPES) {
  test(`${guilty} documents that kill the ${role}s' server, ${NEIGHBOURS} ${latencyMs.name} neighbours, ${workers} workers: nobody else pays`, async () => {
    const numberOf = (prompt: string): number => Number(/question (\d+)/.exec(prompt)?.[1] ?? 0);
    const { server, crashes, crashesAtWork } = await startCrashingServer({
      role,
      awayMs: AWAY_MS,
      latencyMs: (prompt) => latencyMs(numberOf(prompt)),
    });
    await using _ = server;
    const name = role === 'drafter' ? 'small' : 'large';
    await using system = await System.start({ models: { [name]: { base_url: server.baseURL, timeout_s: 600 } } });
    for (let more = 1; more < workers; more += 1) await system.run(role);
    const isGuilty = (index: number): boolean => index % 50 === 25 && index < guilty * 50;
    const prompts = Array.from({ length: NEIGHBOURS + guilty }, (_one, index) => {
      const words = isGuilty(index) ? 'poison' : `question ${index}`;
      return role === 'expert' ? `[[drafter unsure]] ${words}` : words;
    });
    const startedAtMs = performance.now();
    const { id } = await system.submit(prompts);
    const ended = await system.settled(id, undefined, 150_000);
    const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
    const { output, errors } = await wholeResults(system, ended, docIds(prompts.length));
    const lines = [...output, ...errors];
    const stage = role === 'drafter' ? 0 : 1;
    const ofGuilty = lines.filter(({ custom_id }) => isGuilty(Number(custom_id.slice('doc-'.length))));
    if (isWhole) {
      process.stderr.write(
        `${JSON.stringify({ role, guilty, workers, latency: latencyMs.name, seconds, crashes: crashes() })}\n`,
      );
    }
    const neighbours = lines.filter((line) => !ofGuilty.includes(line));
    assert.deepEqual(payers(neighbours, stage), []);
    assert.deepEqual(
      ofGuilty.map(({ cascade }) => cascade?.stages[stage]?.attempts),
      ofGuilty.map(() => 4),
    );
    // A drafter's poison gets its answer from the expert.
    assert.equal(errors.length, role === 'drafter' ? 0 : guilty);
    // Three that nobody is charged with, and the four of its own; one that broke beside another's counts for both.
    assert.ok(crashesAtWork() <= 7 * guilty + 2, `${crashesAtWork()} crashes of a server at work`);
    // Those that were begun while the server was away count for nothing, and are as many as the machine is busy.
    assert.ok(crashes() <= 10 * guilty + 2, `${crashes()} crashes`);
  });
}
