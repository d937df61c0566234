import { allowedDisagreements, boundOf, type SampledAnswers, type Terms } from './allowed.ts';
import { leastSample } from './sample-plan.ts';

/** A document that was drawn at random and answered by both tiers. */
export type SampledDocument = {
  /** The score of its draft; null, or no finite number: it cannot be judged, and is escalated at any threshold. */
  readonly score: number | null;
  /** Whether its draft says what the expert says. What has no expert's answer does not agree. */
  readonly agrees: boolean;
};

/** A document that was drawn at random, whose draft and expert's answer were both compared with its label. */
export type LabelledDocument = {
  readonly score: number | null;
  readonly draftRight: boolean;
  readonly expertRight: boolean;
};

/** What holds of the final answers with the probability 1 − delta. */
export type Certificate = Terms & {
  /** Of which answers: those that agree with the expert's, or those that agree with labels. */
  readonly promised: 'agreement' | 'accuracy';
  /** How many documents were sampled. */
  readonly n: number;
  /** How many disagreements the sample was allowed to have among what is accepted. */
  readonly allowed: number;
  /** How many it has; for accuracy also those documents whose expert's answers are wrong. */
  readonly disagreements: number;
  /** At most this share of the final answers is wrong; no more than 1 − target. */
  readonly bound: number;
  /** The score at or above which a draft is final; null: every draft that can be judged is. */
  readonly acceptAt: number | null;
};

/** Why nothing can be promised of any threshold. */
export type NotCertified =
  /** Not even a sample without a disagreement would be enough; `needed`: how many documents would be, null: no number is. */
  | { readonly reason: 'sample_too_small'; readonly n: number; readonly needed: number | null }
  /** No sampled draft could be judged. */
  | { readonly reason: 'no_evidence'; readonly n: number }
  /** Even the drafts of the best score disagree too often. */
  | { readonly reason: 'disagreements'; readonly n: number; readonly allowed: number; readonly disagreements: number }
  /** The expert's own answers are too often wrong, so that escalating everything would not keep the promise. */
  | {
      readonly reason: 'expert_below_target';
      readonly n: number;
      readonly allowed: number;
      readonly disagreements: number;
    };

/**
 * Without a certificate everything has to be escalated. Agreement then holds of itself, accuracy does not.
 */
export type Certification =
  | { readonly kind: 'certified'; readonly certificate: Certificate }
  | ({ readonly kind: 'not_certified' } & NotCertified);

/**
 * Promises agreement with the expert for a batch by a sample of it, which is drawn without regard to scores and answers,
 * every n documents with the same probability. The threshold accepts the longest prefix of the scores, best first, in
 * which the sample has at most K disagreements (see `allowedDisagreements`, with the proof); documents of equal scores
 * are accepted together or not at all. The sampled documents keep the expert's answers whatever their scores. A sampled
 * document without an expert's answer counts as a disagreement.
 */
export function certifyAgreement(terms: Terms, sample: readonly SampledDocument[]): Certification {
  const rows = sample.map(({ score, agrees }): Row => ({ score: known(score), isWrong: !agrees }));
  return certified({ terms, promised: 'agreement', n: sample.length, answers: 'right', expertWrong: 0 }, rows);
}

/**
 * Promises accuracy by labels. A final answer is wrong where the expert is, or where a draft is accepted that is wrong
 * though the expert is right, or both: the documents with the expert's mistakes, and then the others by their scores, are
 * one order, whose prefixes the same proof holds for. Drafts that are right where the expert is wrong are not counted in
 * its favour, as what is counted must grow with the prefix.
 */
export function certifyAccuracy(terms: Terms, sample: readonly LabelledDocument[]): Certification {
  const expertWrong = sample.filter(({ expertRight }) => !expertRight).length;
  const rows = sample.map(({ score, draftRight, expertRight }): Row => ({
    score: known(score),
    isWrong: expertRight && !draftRight,
  }));
  return certified({ terms, promised: 'accuracy', n: sample.length, answers: 'as_others', expertWrong }, rows);
}

/** A sampled document: whether accepting its draft makes an answer wrong that would have been right. */
type Row = { readonly score: number | null; readonly isWrong: boolean };
type Judged = { readonly score: number; readonly isWrong: boolean };

const known = (score: number | null): number | null => (score !== null && Number.isFinite(score) ? score : null);

type Asked = {
  readonly terms: Terms;
  readonly promised: Certificate['promised'];
  readonly n: number;
  readonly answers: SampledAnswers;
  readonly expertWrong: number;
};

function certified({ terms, promised, n, answers, expertWrong }: Asked, rows: readonly Row[]): Certification {
  const allowed = allowedDisagreements(terms, n, answers);
  if (allowed < 0) {
    return { kind: 'not_certified', reason: 'sample_too_small', n, needed: leastSample(terms, answers) };
  }
  if (expertWrong > allowed) {
    return { kind: 'not_certified', reason: 'expert_below_target', n, allowed, disagreements: expertWrong };
  }
  const judged = rows
    .flatMap(({ score, isWrong }): Judged[] => (score === null ? [] : [{ score, isWrong }]))
    .toSorted((left, right) => right.score - left.score);
  const best = judged[0];
  if (best === undefined && n > 0) return { kind: 'not_certified', reason: 'no_evidence', n };
  const { accepted, disagreements, refused } = longestPrefix(judged, expertWrong, allowed);
  if (refused !== null && accepted === 0) {
    const top = judged.filter(({ score, isWrong }) => score === best?.score && isWrong).length + expertWrong;
    return { kind: 'not_certified', reason: 'disagreements', n, allowed, disagreements: top };
  }
  const bound = boundOf(terms, n, allowed, answers);
  const acceptAt = refused === null ? null : nextAbove(refused);
  return { kind: 'certified', certificate: { ...terms, promised, n, allowed, disagreements, bound, acceptAt } };
}

/** The longest prefix of whole ties with at most so many disagreements, and the score that it ends before, if any. */
function longestPrefix(
  judged: readonly Judged[],
  already: number,
  allowed: number,
): { readonly accepted: number; readonly disagreements: number; readonly refused: number | null } {
  let [accepted, disagreements] = [0, already];
  while (accepted < judged.length) {
    const score = judged[accepted]?.score ?? 0;
    let [end, wrong] = [accepted, disagreements];
    for (; judged[end]?.score === score; end += 1) wrong += Number(judged[end]?.isWrong);
    if (wrong > allowed) return { accepted, disagreements, refused: score };
    [accepted, disagreements] = [end, wrong];
  }
  return { accepted, disagreements, refused: null };
}

/**
 * The least double above another one: "at or above it" is "above" the score that must not be accepted, and everything
 * between that score and the next sampled one is.
 */
export function nextAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value > 0 ? 1n : -1n));
  return bits.getFloat64(0);
}
