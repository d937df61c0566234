import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { demoDocuments } from '../../../services/playground/src/documents/index.ts';
import { startPlayground } from '../../support/playground.ts';
import { answerInBlocks } from './blocks.ts';
import { chat } from './chat.ts';

const playground = startPlayground();
after(() => playground[Symbol.asyncDispose]());
const { port } = await playground.waitFor('ready');
const baseURL = `http://127.0.0.1:${port}/v1`;
const [drafter, expert] = [DEMO.drafter, DEMO.expert].map(({ model }) => ({ baseURL, model })) as [
  { baseURL: string; model: string },
  { baseURL: string; model: string },
];

test("in blocks that the expert verifies comes the expert's own answer, and hardly a token of it is its own", async () => {
  for (const document of demoDocuments(4, 2)) {
    const messages = document.body.messages.map((one) => ({ ...one }));
    const own = await chat(expert, { ...document.body, messages });
    for (const block of [4, 8]) {
      const found = await answerInBlocks(document, { drafter, expert, block, tolerance: null });
      assert.equal(found.answer, own.text);
      const { outputTokens } = own.tokens;
      assert.ok(found.expert.outputTokens <= outputTokens, `${found.expert.outputTokens} of ${outputTokens}`);
      assert.ok(found.wasted >= 0 && found.wasted < found.drafter.outputTokens);
      assert.ok(found.readInside !== null && found.readInside < found.expert.inputTokens);
    }
  }
});

test('with a tolerance of nearly everything the draft stands', async () => {
  const [document] = demoDocuments(1, 3);
  assert.ok(document !== undefined);
  const messages = document.body.messages.map((one) => ({ ...one }));
  const draft = await chat(drafter, { ...document.body, messages });
  const found = await answerInBlocks(document, { drafter, expert, block: document.body.max_tokens, tolerance: 1 });
  assert.equal(found.answer, draft.text);
  assert.deepEqual([found.wasted, found.expert.outputTokens], [0, 1]);
});
