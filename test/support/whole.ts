import assert from 'node:assert/strict';
import type { OpenAI } from 'openai';
import type { ResultLine, System } from './system.ts';

/** Both files of an ended batch, after checking what must always hold: every document once, in order, counts equal. */
export async function wholeResults(
  system: System,
  batch: OpenAI.Batch,
  ids: readonly string[],
): Promise<{ output: ResultLine[]; errors: ResultLine[] }> {
  const output = await system.lines(batch.output_file_id);
  const errors = await system.lines(batch.error_file_id);
  const order = new Map(ids.map((id, index) => [id, index]));
  for (const lines of [output, errors]) {
    const places = lines.map((line) => order.get(line.custom_id) ?? -1);
    assert.deepEqual(
      places,
      places.toSorted((left, right) => left - right),
      'lines are in input order',
    );
  }
  const found = [...output, ...errors].map((line) => line.custom_id).toSorted();
  assert.deepEqual(found, [...ids].toSorted(), 'every document has exactly one line');
  const unfinished = errors.filter((line) => ['batch_cancelled', 'batch_expired'].includes(line.error?.code ?? ''));
  assert.deepEqual(batch.request_counts, {
    total: ids.length,
    completed: output.length,
    failed: errors.length - unfinished.length,
  });
  return { output, errors };
}

export const docIds = (count: number): string[] => Array.from({ length: count }, (_, index) => `doc-${index}`);
