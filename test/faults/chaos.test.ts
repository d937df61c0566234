import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Outcome } from '../chaos/run.ts';
import { runSeeds } from '../chaos/seeds.ts';

/** Few, so that they fit into an ordinary run of the tests; `npm run chaos` has as many as one has time for. */
const SEEDS = [7, 8, 81];

test(`schedules of faults, seeds ${SEEDS.join(', ')}: nothing is lost, doubled, changed or charged to somebody else`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-chaos-'));
  const outcomes: Outcome[] = [];
  const report = (outcome: Outcome): void => void outcomes.push(outcome);
  const { signal } = new AbortController();
  await runSeeds(SEEDS, { jobs: 1, without: new Set(), folder, signal, report });
  assert.equal(outcomes.length, SEEDS.length);
  const violated = outcomes.filter(({ violations }) => violations.length > 0);
  assert.deepEqual(
    violated.map(({ seed, violations }) => ({ seed, violations })),
    [],
    `what is needed to understand it is in ${folder}`,
  );
});
