import type { ScoredToken } from './scores.ts';

/** Which tokens of a draft an expert lets stand. */
export type KeepRule =
  /** Those that it would itself have chosen: what it goes on with is its own greedy answer. */
  | { readonly exact: true }
  /**
   * Those that are nearly as likely as the likeliest: p(own) ≥ (1 − ε) · p(best). The rule that looks at the token itself,
   * of the speculative cascades of Narasimhan et al., "Faster Cascades via Speculative Decoding", arXiv 2405.19261.
   * ε from 0 (ties only) to 1 (everything).
   */
  | { readonly tolerance: number };

/** The beginning of a draft that stands. */
export type KeptPrefix = {
  readonly text: string;
  /** Its length in UTF-16. */
  readonly characters: number;
  /** Its length in the expert's tokens. */
  readonly tokens: number;
  /** All of the draft stands, but for white space at its end that a chat template had trimmed. */
  readonly isWhole: boolean;
  /** The length of the whole draft, as it was scored, in the expert's tokens. */
  readonly draftTokens: number;
};

/**
 * The longest beginning of a draft whose tokens all stand. It ends where a token does, and never in white space, as
 * chat templates trim a message before it is continued: the continuation would have to begin with what was trimmed. A draft
 * that stands as a whole is kept as it was scored, so no template has trimmed it.
 *
 * Whether a server makes the same tokens of the prefix as of the whole draft is its tokeniser's to say; where the last
 * word is cut in the middle the expert may go on otherwise than behind its own tokens.
 */
export function keptPrefix(draft: string, tokens: readonly ScoredToken[], rule: KeepRule): KeptPrefix {
  // A token that is the best has the ratio 1, and so has one that is as likely as the best.
  const least = 'tolerance' in rule ? 1 - rule.tolerance : null;
  const refused = tokens.findIndex(({ isBest, ratio }) => !isBest && (least === null || ratio < least));
  const isWhole = refused === -1 && tokens.length > 0;
  const count = isWhole ? tokens.length : lastEnd(draft, tokens, refused);
  const characters = tokens[count - 1]?.to ?? 0;
  return {
    text: draft.slice(0, characters),
    characters,
    tokens: tokensIn(tokens, count),
    isWhole,
    draftTokens: tokensIn(tokens, tokens.length),
  };
}

/**
 * The beginning of a draft that uses a limit of tokens up, so that nothing is to be continued: an answer whose finish reason
 * is `length`. Characters of which not all tokens are within the limit are left out. Null: there are tokens left.
 */
export function cutToLimit(
  draft: string,
  tokens: readonly ScoredToken[],
  kept: KeptPrefix,
  limit: number | null,
): { readonly text: string; readonly tokens: number } | null {
  if (limit === null || kept.tokens < limit) return null;
  let [count, used] = [0, 0];
  while (count < tokens.length && used + (tokens[count]?.tokens ?? 0) <= limit) {
    used += tokens[count]?.tokens ?? 0;
    count += 1;
  }
  return { text: draft.slice(0, tokens[count - 1]?.to ?? 0), tokens: used };
}

function tokensIn(tokens: readonly ScoredToken[], count: number): number {
  let sum = 0;
  for (let at = 0; at < count; at += 1) sum += tokens[at]?.tokens ?? 0;
  return sum;
}

/** How many of so many tokens there are up to the last place at which the draft may be cut. */
function lastEnd(draft: string, tokens: readonly ScoredToken[], most: number): number {
  let count = Math.max(0, most);
  while (count > 0 && !mayEnd(draft, tokens[count - 1]?.to ?? 0)) count -= 1;
  return count;
}

/** Whether a text may be cut at a place: not behind white space, and not between the halves of a surrogate pair. */
function mayEnd(text: string, at: number): boolean {
  const isSplit = /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1));
  return !isSplit && text.slice(at - 1, at).trim() !== '';
}
