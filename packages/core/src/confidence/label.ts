import type { TokenLogprob } from '../completion.ts';

/** How answers are compared: case, white space and what surrounds a word do not matter. */
export const plainText = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/^[\s"'`*.]+|[\s"'`*.]+$/g, '');

/**
 * The probability of the label that was answered, among those that are allowed: at the first token where they part, the
 * probabilities of all ways to write each one ("True", " True", "true") are added up. Null when the answer is none of
 * them, or nothing is told of the alternatives there.
 */
export function labelProbability(
  text: string,
  tokens: readonly TokenLogprob[],
  answers: readonly string[],
): number | null {
  const labels = answers.map(plainText);
  const answered = labels.indexOf(plainText(text));
  if (answered === -1) return null;
  let before = '';
  for (const token of tokens) {
    const possible = (candidate: string): number[] => {
      const begun = plainStart(before + candidate);
      return labels.flatMap((label, index) => (fits(label, begun) ? [index] : []));
    };
    if (possible(token.token).length === 1) return shareOf(answered, token, possible);
    before += token.token;
  }
  return null;
}

/** What is written so far of a label; what follows a label, such as a full stop, does not make it another one. */
const plainStart = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/^[\s"'`*.]+/, '');

const fits = (label: string, begun: string): boolean =>
  begun.trim() !== '' && (label.startsWith(begun) || begun.replace(/[\s"'`*.,;:!]+$/, '') === label);

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
