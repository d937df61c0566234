import { createReadStream } from 'node:fs';
import { isJsonObject, LIMITS, LineSplitter, type JsonObject } from '@spillway/core';

/** The tokens of a call. */
export type Tokens = { readonly input: number; readonly output: number };

/** What a result line says about how its document was handled. Times in milliseconds. */
export type Outcome = {
  readonly customId: string;
  /** The answer's text; null where there is none. */
  readonly answer: string | null;
  readonly escalated: boolean;
  readonly reason: string | null;
  readonly totalMs: number;
  /** Of the escalated ones: what came before the expert's call. */
  readonly wait: SequentialWait | null;
  readonly drafter: Tokens;
  readonly expert: Tokens;
};

export type SequentialWait = {
  readonly drafterQueueMs: number;
  readonly draftMs: number;
  readonly handOverMs: number;
  readonly expertQueueMs: number;
  readonly sequentialMs: number;
};

/** Longer than any line that a document of an allowed size leads to. */
const RESULT_LINE_BYTES = 64 * LIMITS.lineBytes;

/** Reads the lines of an output or error file one after the other. */
export async function* readOutcomes(path: string): AsyncGenerator<Outcome> {
  const splitter = new LineSplitter(RESULT_LINE_BYTES);
  for await (const chunk of createReadStream(path)) {
    for (const line of splitter.push(chunk as Buffer)) yield readOutcome(line.bytes.toString('utf8'));
  }
  for (const line of splitter.end()) yield readOutcome(line.bytes.toString('utf8'));
}

/** @internal exported for its test */
export function readOutcome(text: string): Outcome {
  const line = objectOf(JSON.parse(text));
  const cascade = objectOf(line['cascade']);
  const waits = objectOf(cascade['wait_ms']);
  const drafter = objectOf(cascade['drafter']);
  const escalated = cascade['escalated'] === true;
  const waited = escalated && typeof waits['sequential'] === 'number';
  return {
    customId: textOf(line['custom_id']) ?? '',
    answer: answerOf(objectOf(objectOf(line['response'])['body'])),
    escalated,
    reason: textOf(cascade['reason']),
    totalMs: numberOf(waits['total']),
    wait: waited
      ? {
          drafterQueueMs: numberOf(waits['drafter_queue']),
          draftMs: numberOf(drafter['duration_ms']),
          handOverMs: numberOf(waits['hand_over']),
          expertQueueMs: numberOf(waits['expert_queue']),
          sequentialMs: numberOf(waits['sequential']),
        }
      : null,
    drafter: tokensOf(drafter),
    expert: tokensOf(objectOf(cascade['expert'])),
  };
}

function answerOf(body: JsonObject): string | null {
  const choices = body['choices'];
  const message = Array.isArray(choices) ? objectOf(objectOf(choices[0])['message']) : {};
  return textOf(message['content']);
}

const objectOf = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
const tokensOf = (tier: JsonObject): Tokens => ({
  input: numberOf(tier['input_tokens']),
  output: numberOf(tier['output_tokens']),
});
