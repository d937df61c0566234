import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '@spillway/core';
import { readJson, runSliced, writeJson } from './slices.ts';

const limits = { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues };

/** How often others had the event loop while something was done. */
async function turnsDuring<Result>(work: () => Promise<Result>): Promise<{ result: Result; turns: number }> {
  let [turns, isOver] = [0, false];
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const result = await work();
  isOver = true;
  return { result, turns };
}

test('others have the event loop between the slices of a long text, read and written', async () => {
  const text = JSON.stringify({ a: 'x'.repeat(2_000_000), b: Array.from({ length: 90_000 }, (_, at) => at) });
  const read = await turnsDuring(() => readJson(text, limits));
  assert.ok(read.result.kind === 'json' && read.turns > 200, `${read.turns} turns`);
  const { value } = read.result;
  const written = await turnsDuring(() => writeJson(value));
  assert.ok(written.result === text && written.turns > 100, `${written.turns} turns`);
});

test('what is short is done at once, and what is beyond the limits is refused', async () => {
  const short = await turnsDuring(() => readJson('{"a":[1]}', limits));
  assert.deepEqual(short, { result: { kind: 'json', value: { a: [1] } }, turns: 0 });
  assert.deepEqual(await readJson('[{}'.repeat(5_000_000), limits), { kind: 'beyond', excess: 'too_deep' });
  assert.deepEqual(await readJson(`[${'{},'.repeat(3_300_000)}{}]`, limits), {
    kind: 'beyond',
    excess: 'too_many_values',
  });
});

test('an error in a slice is the error of all of it', async () => {
  function* failing() {
    yield undefined;
    throw new Error('in the second slice');
  }
  await assert.rejects(runSliced(failing()), /in the second slice/);
});
