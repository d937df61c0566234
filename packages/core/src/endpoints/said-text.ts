import { answerTokens, type AlignmentOptions, type AnswerTokens } from './answer-tokens.ts';
import { readTokens, sliceLogprobs, type TokenLogprob } from './completion-tokens.ts';
import type { Usage } from './usage.ts';
import { splitThought } from './thought.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** A text that a server said, with the log-probs that it gave of it; an answer may be made of several. */
export type SaidText = { readonly text: string; readonly logprobs: Json | undefined };

/** What else is known of an answer whose texts are read. */
export type SaidOptions = {
  /** As its server got it. */
  readonly request: JsonObject;
  /** The server says the model's thoughts, or how many tokens they have, beside the text. */
  readonly reasoned: boolean;
  readonly usage: Usage;
};

/** What the texts of an answer come to. */
export type ReadTexts = {
  /** The answer, without a thought that it began with. */
  readonly text: string | null;
  /** The tokens of `text` alone: no end mark, no reasoning. Null when the server gave none that can be used. */
  readonly tokens: readonly TokenLogprob[] | null;
  /** The server gave log-probs, and they do not cover `text`. */
  readonly isPartial?: boolean;
  /** The server gave more log-probs than are looked at. */
  readonly isTooLarge?: boolean;
  /**
   * The server left a thought in the text: one that ends, one of which only the end is there, as the prompt began it, or
   * one that never ends, so that there is no answer.
   */
  readonly thought?: 'closed' | 'opened' | 'unclosed';
};

/** The part of a text that is of the answer. */
type Part = { readonly said: SaidText; readonly from: number; readonly to: number };

/** The texts of an answer without the thought that they begin with. */
type AnswerParts = {
  readonly parts: readonly Part[];
  /** Null: there is none in the texts. */
  readonly thought: { readonly text: string; readonly kind: NonNullable<ReadTexts['thought']> } | null;
};

function splitTexts(texts: readonly SaidText[], request: JsonObject): AnswerParts {
  const all = texts.map(({ text }) => text).join('');
  const split = splitThought(all, request);
  const [begin, end] =
    split.kind === 'split' ? [split.from, split.to] : [split.kind === 'none' ? 0 : all.length, all.length];
  let start = 0;
  const parts = texts.map((said): Part => {
    const within = (place: number): number => Math.min(said.text.length, Math.max(0, place - start));
    const part = { said, from: within(begin), to: within(end) };
    start += said.text.length;
    return part;
  });
  if (split.kind === 'none') return { parts, thought: null };
  const kind = split.kind === 'unclosed' ? 'unclosed' : split.opened ? 'opened' : 'closed';
  return { parts, thought: { text: split.thought, kind } };
}

/** What the texts of an answer say, without a thought, and its own tokens. */
export function readTexts(texts: readonly SaidText[], options: SaidOptions): ReadTexts {
  const { parts, thought } = splitTexts(texts, options.request);
  const text = parts.map(({ said, from, to }) => said.text.slice(from, to)).join('');
  const alignment = alignmentOf(options, texts.length);
  const found = parts
    .filter(({ from, to }) => to > from)
    .map((part) => {
      const listed = readTokens(part.said.logprobs);
      return listed === null ? 'none' : (answerTokens(listed.tokens, writtenOf(part), alignment)?.tokens ?? 'partial');
    });
  const isMissing = found.length === 0 || found.includes('none');
  const isPartial = !isMissing && found.includes('partial');
  return {
    text: texts.length === 0 ? null : text,
    tokens: isMissing || isPartial ? null : (found as readonly AnswerTokens['tokens'][]).flat(),
    ...(isPartial ? { isPartial } : {}),
    ...(thought === null ? {} : { thought: thought.kind }),
  };
}

/** The texts of an answer without the thought that they begin with, each with the log-probs of what is left of it. */
export function cutThought(
  texts: readonly SaidText[],
  options: SaidOptions,
): { readonly thought: string; readonly texts: readonly SaidText[] } | null {
  const { parts, thought } = splitTexts(texts, options.request);
  if (thought === null) return null;
  const alignment = alignmentOf(options, texts.length);
  const cut = parts.map((part): SaidText => {
    const { said, from, to } = part;
    return { text: said.text.slice(from, to), logprobs: cutLogprobs(part, alignment) };
  });
  return { thought: thought.text, texts: cut };
}

/** What is stripped goes with its log-probs; such as nobody can lay over the text go all. */
function cutLogprobs(part: Part, alignment: AlignmentOptions): Json | undefined {
  const { logprobs } = part.said;
  if (!isJsonObject(logprobs)) return logprobs;
  const listed = readTokens(logprobs);
  const found = listed === null ? null : answerTokens(listed.tokens, writtenOf(part), alignment);
  if (found === null || found.end <= found.first) return null;
  // Servers count characters, of which a string here has two for some.
  const cut = Array.from(part.said.text.slice(0, part.from)).length;
  return sliceLogprobs(logprobs, { first: found.first, end: found.end, cut });
}

const writtenOf = ({ said, from, to }: Part) => ({ raw: said.text, from, to });

/** The server counts the tokens of all texts together. */
function alignmentOf({ request, reasoned, usage }: SaidOptions, texts: number): AlignmentOptions {
  const { stop } = request;
  const stops: readonly Json[] = Array.isArray(stop) ? stop : [stop ?? null];
  return {
    reasoned,
    count: texts === 1 && usage.outputTokens > 0 ? usage.outputTokens - usage.reasoningTokens : null,
    thoughts: usage.reasoningTokens,
    stops: stops.filter((one: Json) => typeof one === 'string'),
  };
}
