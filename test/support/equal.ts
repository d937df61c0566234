import assert from 'node:assert/strict';
import type { System } from './system.ts';
import { docIds, wholeResults } from './whole.ts';

/** So many texts, each twelve times and more, that are asked about once; every third of them escalates. */
const TEXTS = 39;
const equal = docIds(500).map(
  (_, index) => `${(index % TEXTS) % 3 === 0 ? '[[drafter unsure]] ' : ''}equal ${index % TEXTS}`,
);

/** Submits equal documents of two pages; whatever happens, each is to have the answer of its first. */
export async function submitEqual(system: System): Promise<{ readonly check: () => Promise<void> }> {
  const { id } = await system.submit(equal, { body: { temperature: 0 } });
  const check = async (): Promise<void> => {
    const { output, errors } = await wholeResults(system, await system.settled(id), docIds(equal.length));
    assert.deepEqual(errors, []);
    for (const [at, line] of output.entries()) {
      assert.equal(line.cascade?.copy_of, at < TEXTS ? undefined : `doc-${at % TEXTS}`);
      assert.deepEqual(line.response, output[at % TEXTS]?.response);
    }
  };
  return { check };
}
