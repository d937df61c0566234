import type { TokenLogprob } from '../endpoints/completion.ts';
import { plainStart, plainText, withoutStop } from './plain-text.ts';
import { noEvidence, wholeScore, type ScoredDraft } from './score.ts';

/** The probability of the label that was answered, or why nobody can say it. */
export function labelScore(text: string, tokens: readonly TokenLogprob[], answers: readonly string[]): ScoredDraft {
  const probability = labelProbability(text, tokens, answers);
  if (probability !== null) return wholeScore(probability);
  const isLabel = answers.map(plainText).includes(plainText(text));
  return noEvidence(isLabel && tokens.some(({ top }) => top.length === 0) ? 'no_alternatives' : 'no_label');
}

/**
 * The probability of the label that was answered, among those that are allowed: at the first token where they part, the
 * probabilities of all ways to write each one ("True", " True", "true") are added up. Null when the answer is none of
 * them, or the alternatives there are unknown.
 */
function labelProbability(text: string, tokens: readonly TokenLogprob[], answers: readonly string[]): number | null {
  const labels = answers.map(plainText);
  const answered = labels.indexOf(plainText(text));
  if (answered === -1) return null;
  let before = '';
  for (const token of tokens) {
    const possible = (candidate: string): number[] => {
      const begun = plainStart(before + candidate);
      return labels.flatMap((label, index) => (fits(label, begun) ? [index] : []));
    };
    const fitting = possible(token.token).length;
    if (fitting === 1) return shareOf(answered, token, possible);
    before += token.token;
    const begun = plainStart(before);
    // What begins none of them never will; of what says nothing yet only a point may be the beginning of a number.
    if (fitting === 0 && begun.trim() !== '') return null;
    if (begun === '') before = before.endsWith('.') ? '.' : '';
  }
  return null;
}

/** What follows a label, such as a full stop, does not make it another one. */
const fits = (label: string, begun: string): boolean =>
  begun.trim() !== '' && (label.startsWith(begun) || withoutStop(begun) === label);

function shareOf(answered: number, token: TokenLogprob, possible: (candidate: string) => number[]): number | null {
  const known = new Map(token.top.map((one) => [one.token, one.logprob]));
  if (known.size === 0) return null;
  if (!known.has(token.token)) known.set(token.token, token.logprob);
  let [own, all] = [0, 0];
  for (const [candidate, logprob] of known) {
    const fitting = possible(candidate);
    if (fitting.length !== 1) continue;
    const probability = Math.exp(logprob);
    all += probability;
    if (fitting[0] === answered) own += probability;
  }
  return all > 0 ? own / all : null;
}
