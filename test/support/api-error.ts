import assert from 'node:assert/strict';
import OpenAI from 'openai';

/** The error that a call of the official SDK fails with. */
export async function failureOf(answer: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await answer.then(
    () => assert.fail('was answered'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OpenAI.APIError, String(error));
  return error;
}
