import { LIMITS } from '../../limits.ts';
import { SLICE_ITEMS, type Sliced } from '../../text/slices.ts';
import { spellEnd, unreadable, type TokenGroup, type Unreadable } from './spelling.ts';
import { echoedTokens, promptTokens, type ListedTokens, type TokenScore } from './token-scores.ts';

/** Where a server says how likely the tokens of a prompt are. */
export type ScoreSource = 'prompt_logprobs' | 'echo';

/** A token of a draft in the expert's vocabulary, or several that share characters, with what the expert says of it. */
export type ScoredToken = {
  /** Characters of the draft, in UTF-16. */
  readonly from: number;
  readonly to: number;
  /** How many of the expert's tokens these are; one with characters counts those without any before it. */
  readonly tokens: number;
  /** The expert would itself have chosen each of them. */
  readonly isBest: boolean;
  /** The probability of the token over that of the likeliest one, of several the least; 1 when best, 0 where unknown. */
  readonly ratio: number;
  /** Its log-prob; of several the sum. */
  readonly logprob: number;
};

export type ReadScores = { readonly kind: 'scored'; readonly tokens: readonly ScoredToken[] } | Unreadable;

/**
 * What an expert says of the tokens of a draft that it was given behind a prompt. Nothing of it is believed that does
 * not fit: the tokens must spell the draft to the letter, and each must have numbers that can be.
 *
 * - `prompt_logprobs` (vLLM): the draft is the end of the prompt. A chat template may trim it there: then the
 *   tokens are those of the draft without the white space at its end. Where a draft begins with white space nobody can say
 *   whether that is its own or the template's.
 * - `echo` (`/v1/completions`): the server repeats `prompt` and draft, and may write one token more. Marks
 *   before them, such as a BOS, are passed over, and so is the space that SentencePiece puts before a text.
 */
export function* readScores(body: unknown, source: ScoreSource, draft: string, prompt = ''): Sliced<ReadScores> {
  if (draft.trim() === '') return unreadable('the draft is empty');
  return source === 'echo' ? yield* readEcho(body, draft, prompt) : yield* readPrompt(body, draft);
}

function* readPrompt(body: unknown, draft: string): Sliced<ReadScores> {
  const listed = promptTokens(body);
  if (listed.kind === 'unreadable') return listed;
  if (listed.isChat && draft !== draft.trimStart()) return unreadable('the draft begins with white space');
  const tokens = { end: listed.count, textsAt: listed.textsAt };
  const whole = yield* spellEnd(draft, tokens);
  const trimmed = draft.trimEnd();
  const spelling = whole.kind === 'spelt' || trimmed === draft ? whole : yield* spellEnd(trimmed, tokens);
  return spelling.kind === 'spelt' ? yield* scoreGroups(listed, spelling.groups, 0) : spelling;
}

function* readEcho(body: unknown, draft: string, prompt: string): Sliced<ReadScores> {
  const listed = echoedTokens(body);
  if (listed.kind === 'unreadable') return listed;
  const given = prompt + draft;
  if (!listed.text.startsWith(given)) return unreadable('the echo does not begin with prompt and draft');
  // A token that was written has text, unless it is an end mark.
  const written = listed.text === given ? [0, 1] : [1];
  let last = unreadable('the tokens do not spell prompt and draft');
  for (const count of written) {
    for (const space of prompt === '' ? [''] : ['', ' ']) {
      const spelling = yield* spellEnd(space + given, { end: listed.count - count, textsAt: listed.textsAt });
      if (spelling.kind === 'unreadable') last = spelling;
      else return yield* scoreEnd(listed, spelling.groups, space.length + prompt.length);
    }
  }
  return last;
}

/** The scores of what begins at a character; no token may have begun before it. */
function* scoreEnd(listed: ListedTokens, groups: readonly TokenGroup[], start: number): Sliced<ReadScores> {
  const first = groups.findIndex(({ from }) => from >= start);
  yield;
  if (groups[first]?.from !== start) return unreadable('a token is of the prompt and of the draft');
  return yield* scoreGroups(listed, groups.slice(first), start);
}

/** The scores of tokens by the parts of a text that they spell; `start`: where the draft begins in it. */
export function* scoreGroups(listed: ListedTokens, groups: readonly TokenGroup[], start: number): Sliced<ReadScores> {
  const tokens: ScoredToken[] = [];
  let [looked, slice] = [0, SLICE_ITEMS];
  for (const { from, to, first, end } of groups) {
    let worst: TokenScore = { isBest: true, ratio: 1, logprob: 0 };
    for (let at = first; at < end; at += 1) {
      const score = listed.scoreAt(at);
      if ('kind' in score) return score;
      looked += listed.sizeAt(at);
      if (looked > LIMITS.judgedLogprobs) return unreadable('more log-probs than are looked at');
      if (looked > slice) {
        slice = looked + SLICE_ITEMS;
        yield;
      }
      worst = {
        isBest: worst.isBest && score.isBest,
        ratio: Math.min(worst.ratio, score.ratio),
        logprob: worst.logprob + score.logprob,
      };
    }
    tokens.push({ from: from - start, to: to - start, tokens: end - first, ...worst });
  }
  return { kind: 'scored', tokens };
}
