import {
  answerText,
  isJsonObject,
  parseJson,
  type PricedTokens,
  type ResultLine,
  type StageAnnotation,
} from '@spillway/core';

export const NO_TOKENS: PricedTokens = { inputTokens: 0, cachedTokens: 0, outputTokens: 0 };

export const addTokens = (left: PricedTokens, right: PricedTokens): PricedTokens => ({
  inputTokens: left.inputTokens + right.inputTokens,
  cachedTokens: left.cachedTokens + right.cachedTokens,
  outputTokens: left.outputTokens + right.outputTokens,
});

/** What was done about one document. Times in milliseconds that passed here, tokens as the servers count them. */
export type Handled = {
  readonly customId: string;
  readonly answer: string | null;
  /** Whether the expert had a part in it. */
  readonly escalated: boolean;
  readonly drafter: PricedTokens;
  readonly expert: PricedTokens;
  /** Of the drafter's tokens, those that are no part of the answer. */
  readonly wasted: number;
  /** What an engine that does the same inside itself would have the expert read; null: just as much. */
  readonly readInside: number | null;
  /** From enqueueing to the expert's first call; null: it was not escalated, or nothing was enqueued. */
  readonly sequentialMs: number | null;
  /** Of the escalated ones in a cascade. */
  readonly slow: SlowPath | null;
  /** How the expert was asked, and why not as its stage says. */
  readonly asked: string;
  /** What was drafted and is not the answer, and how much of it the answer begins with, if that is said. */
  readonly draft: string | null;
  readonly keptCharacters: number | null;
};

export type SlowPath = {
  /** The wait for the expert's queue, and its calls. */
  readonly queueAndCallsMs: number;
  /** From the end of the draft, so with the hand-off before it. */
  readonly toAnswerMs: number;
};

/** How the result lines of a way are read. */
export type ReadLine = (line: ResultLine) => Handled;

/** The line of a cascade of a drafter and an expert. */
export const handledBy: ReadLine = (line) => {
  const { custom_id: customId, response, cascade } = line;
  if (customId === null || response === null || cascade === undefined)
    throw new Error(`a document without an answer: ${JSON.stringify(line)}`);
  const [drafter, expert] = cascade.stages;
  if (drafter === undefined) throw new Error(`a document without a stage: ${JSON.stringify(line)}`);
  const { sequential, total } = cascade.wait_ms;
  const before = sumOf([drafter.wait_ms.queue, drafter.wait_ms.call]);
  return {
    customId,
    answer: answerText(response.body),
    escalated: cascade.escalated,
    drafter: tokensOf(drafter),
    expert: expert === undefined ? NO_TOKENS : tokensOf(expert),
    wasted: wastedBy(drafter, expert),
    readInside: null,
    sequentialMs: sequential,
    slow:
      expert === undefined
        ? null
        : {
            queueAndCallsMs: sumOf([expert.wait_ms.queue, expert.wait_ms.call]),
            toAnswerMs: Math.max(0, (total ?? 0) - before),
          },
    asked: expert === undefined ? 'none' : [expert.ask, expert.ask_reason].filter(Boolean).join(': '),
    draft: draftOf(drafter),
    keptCharacters: expert?.kept_characters ?? null,
  };
};

const sumOf = (values: readonly (number | null)[]): number => values.reduce<number>((sum, one) => sum + (one ?? 0), 0);

const tokensOf = ({ usage }: StageAnnotation): PricedTokens => ({
  inputTokens: usage.input_tokens,
  cachedTokens: usage.cached_tokens,
  outputTokens: usage.output_tokens,
});

const draftOf = ({ draft, stopped }: StageAnnotation): string | null => draft?.text ?? stopped?.text ?? null;

/** All of an escalated draft, but for the share of its characters that the answer has from it. */
function wastedBy(drafter: StageAnnotation, expert: StageAnnotation | undefined): number {
  if (expert === undefined) return 0;
  const text = draftOf(drafter) ?? '';
  const kept = expert.kept_characters ?? (expert.asked_fields && text.length - charactersOf(text, expert.asked_fields));
  const share = kept === undefined || text === '' ? 0 : Math.min(1, kept / text.length);
  return Math.round(drafter.usage.output_tokens * (1 - share));
}

/** How many characters some values of a JSON text have, by their pointers; the embedded pair writes no white space. */
function charactersOf(text: string, pointers: readonly string[]): number {
  const whole = parseJson(text);
  return pointers.reduce((sum, pointer) => {
    const keys = pointer.split('/').slice(1);
    const value = keys.reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), whole);
    return sum + (value === undefined ? 0 : JSON.stringify(value).length);
  }, 0);
}
