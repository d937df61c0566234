import { sameAnswer, usd, type FormatKind, type Price, type PricedTokens, type SignalSpec } from '@spillway/core';
import { UserError } from '../client.ts';
import { scoreBy, type DraftedDocument } from './drafts.ts';
import type { Label } from './labels.ts';

/** A draft with its label. */
export type LabelledDraft = {
  readonly customId: string;
  /** What was drafted, and what was wanted; null: the label does not say. */
  readonly draft: string;
  readonly wanted: string | null;
  readonly score: number | null;
  readonly features: readonly number[] | null;
  /** What the answer was asked to be; null: its line does not say. */
  readonly format: FormatKind | null;
  readonly right: boolean;
  /** Null: nobody can say. Nothing is assumed of an expert that was not asked. */
  readonly expertRight: boolean | null;
  readonly isExpertAsked: boolean;
  /** Whether the draft is final by the rules of its batch, had it been no shadow run; null: it was not judged. */
  readonly isAcceptedToday: boolean;
  /** US dollars; null: a price or what the expert takes is not known. */
  readonly draftUsd: number | null;
  readonly expertUsd: number | null;
};

/** What drafts are labelled by. */
type Labelling = {
  /** Null: right is what the expert says. */
  readonly labels: ReadonlyMap<string, Label> | null;
  /** What the labels that only say `correct` are of, by document; absent: the drafts themselves. */
  readonly labelledTexts?: ReadonlyMap<string, string | null>;
  readonly signal: SignalSpec;
  /** The stage's own signal. */
  readonly own: SignalSpec;
  readonly prices: { readonly stage: Price | null; readonly expert: Price | null };
};

/** The drafts that a label, or the expert's answer, says something of. */
export function labelled(drafts: readonly DraftedDocument[], labelling: Labelling): LabelledDraft[] {
  const found = drafts.flatMap((document) => labelledDraft(document, labelling) ?? []);
  if (found.length === 0) throw new UserError('no labelled document has a draft that could be compared');
  return found;
}

function labelledDraft(document: DraftedDocument, { labels, ...labelling }: Labelling): LabelledDraft | null {
  const { customId, draft, expert, expertTokens, draftTokens, features, format, isAcceptedToday } = document;
  const label = labels?.get(customId);
  if (draft === null || (labels !== null && label === undefined)) return null;
  // The expert failed in a shadow run: nobody can compare.
  if (document.scores !== null && expert === null) return null;
  if (label !== undefined && 'correct' in label && !isSameDraft(document, labelling.labelledTexts)) return null;
  const right = isRight(draft, label, expert);
  if (right === null) return null;
  const { prices } = labelling;
  const wanted = label === undefined ? expert : 'answer' in label ? label.answer : null;
  return {
    customId,
    draft,
    wanted,
    score: scoreOf(document, labelling),
    features,
    format,
    right,
    expertRight: isExpertRight(draft, expert, { label, right }),
    isExpertAsked: expert !== null,
    isAcceptedToday,
    draftUsd: costOf(draftTokens, prices.stage),
    expertUsd: expertTokens === null ? null : costOf(expertTokens, prices.expert),
  };
}

const costOf = (tokens: PricedTokens, at: Price | null): number | null => (at === null ? null : usd(tokens, at));

/** A label that says `correct` is of the draft that its user saw; a sample may have drafted another one. */
function isSameDraft({ customId, draft }: DraftedDocument, texts: Labelling['labelledTexts']): boolean {
  if (texts === undefined) return true;
  const seen = texts.get(customId) ?? null;
  return seen !== null && draft !== null && sameAnswer(seen, draft);
}

/** Whether an answer is right by its label, or says what the expert says; null: nobody can say. */
export function isRight(answer: string, label: Label | undefined, expert: string | null): boolean | null {
  if (label !== undefined && 'correct' in label) return label.correct;
  const wanted = label === undefined ? expert : label.answer;
  return wanted === null ? null : sameAnswer(answer, wanted);
}

/** What a label says of the expert: one that only says whether the draft is right says so of an expert that says the same. */
function isExpertRight(
  draft: string,
  expert: string | null,
  { label, right }: { readonly label: Label | undefined; readonly right: boolean },
): boolean | null {
  if (label === undefined) return true;
  if (expert === null) return null;
  if ('answer' in label) return sameAnswer(expert, label.answer);
  return sameAnswer(expert, draft) ? right : null;
}

function scoreOf(document: DraftedDocument, { signal, own }: Omit<Labelling, 'labels'>): number | null {
  const isHead = signal.name === 'head';
  const score = isHead ? null : scoreBy(document, signal, own);
  const isUnknown = isHead ? document.features === null && document.scores === null : score === undefined;
  if (!isUnknown) return score ?? null;
  throw new UserError(
    `the batch does not tell of the signal ${JSON.stringify(signal)}: calibrate it with --sample, or by a batch with the metadata "spillway.shadow": "true"`,
  );
}
