import { createReadStream } from 'node:fs';
import {
  answerText,
  cutText,
  LIMITS,
  LineSplitter,
  readResultLine,
  type PricedTokens,
  type StageAnnotation,
} from '@spillway/core';
import { NO_TOKENS } from './tokens.ts';

/** What a result line says about how its document was handled. Times in milliseconds. */
export type Outcome = {
  readonly customId: string;
  /** The answer's text; null where there is none. */
  readonly answer: string | null;
  readonly escalated: boolean;
  /** Of the escalated ones. */
  readonly reason: string | null;
  /** The expert was asked for so many of its values; null: for the whole answer. */
  readonly askedFields: number | null;
  readonly totalMs: number;
  /** Of the escalated ones: what came before the expert's call. */
  readonly wait: SequentialWait | null;
  readonly drafter: PricedTokens;
  readonly expert: PricedTokens;
};

export type SequentialWait = {
  readonly drafterQueueMs: number;
  readonly draftMs: number;
  readonly handOffMs: number;
  readonly expertQueueMs: number;
  readonly sequentialMs: number;
};

/** Longer than any line that a document of an allowed size leads to. */
const RESULT_LINE_BYTES = LIMITS.lineBytesMax;

/** Reads the lines of an output or error file one after the other. */
export async function* readOutcomes(path: string): AsyncGenerator<Outcome> {
  const splitter = new LineSplitter(RESULT_LINE_BYTES);
  for await (const chunk of createReadStream(path)) {
    for (const line of splitter.push(chunk as Buffer)) yield readOutcome(line.bytes.toString('utf8'));
  }
  for (const line of splitter.end()) yield readOutcome(line.bytes.toString('utf8'));
}

/**
 * What the line of a document says; the demo's cascade has two stages.
 *
 * @internal exported for its test
 */
export function readOutcome(text: string): Outcome {
  const line = readResultLine(text);
  if (line === null) throw new Error(`a result file holds a line that is none: ${cutText(text, 200)}`);
  const { custom_id: customId, response, cascade } = line;
  if (customId === null) throw new Error(`the demo's input holds a bad line: ${text.slice(0, 200)}`);
  const drafter = cascade?.stages.find(({ role }) => role === 'drafter');
  const expert = cascade?.stages.find(({ role }) => role === 'expert');
  const sequentialMs = cascade?.wait_ms.sequential ?? null;
  return {
    customId,
    answer: response === null ? null : answerText(response.body),
    escalated: cascade?.escalated ?? false,
    reason: drafter?.reason ?? null,
    askedFields: expert?.asked_fields?.length ?? null,
    totalMs: cascade?.wait_ms.total ?? 0,
    wait:
      sequentialMs === null
        ? null
        : {
            drafterQueueMs: drafter?.wait_ms.queue ?? 0,
            draftMs: drafter?.wait_ms.call ?? 0,
            handOffMs: drafter?.wait_ms.hand_off ?? 0,
            expertQueueMs: expert?.wait_ms.queue ?? 0,
            sequentialMs,
          },
    drafter: tokensOf(drafter),
    expert: tokensOf(expert),
  };
}

function tokensOf(stage: StageAnnotation | undefined): PricedTokens {
  if (stage === undefined) return NO_TOKENS;
  const { input_tokens: inputTokens, cached_tokens: cachedTokens, output_tokens: outputTokens } = stage.usage;
  return { inputTokens, cachedTokens, outputTokens };
}
