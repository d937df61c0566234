import {
  sameSignal,
  SHADOW_SIGNALS,
  SIGNALS,
  usd,
  type Price,
  type PricedTokens,
  type SignalSpec,
} from '@spillway/core';
import { UserError } from '../client.ts';
import type { DecidedDocument, DraftedDocument } from './drafts.ts';
import { MIN_LABELS } from './judge.ts';
import { isRight } from './labelled.ts';
import type { Label } from './labels.ts';

export const draftsIn = (documents: readonly DecidedDocument[]): DraftedDocument[] =>
  documents.flatMap(({ drafted }) => (drafted === null ? [] : [drafted]));

/** What surely cannot be calibrated is refused before it costs anything. */
export function refuseHopeless(drafts: readonly DraftedDocument[], signal: SignalSpec, own: SignalSpec): void {
  if (!sameSignal(signal, own) && SIGNALS[signal.name].needs !== 'nothing') {
    throw new UserError(`the signal ${signal.name} needs calls of its own: make it the stage's signal first`);
  }
  if (!signalsOfSample(own).some((one) => sameSignal(signal, one))) {
    const expected = SHADOW_SIGNALS.map((one) => JSON.stringify(one)).join(', ');
    throw new UserError(
      `a sample says nothing of the signal ${JSON.stringify(signal)}: make it the stage's signal first, or choose one of ${expected}`,
    );
  }
  // In an ordinary batch perhaps no document came to a later stage; the sample decides then.
  if (drafts.length > 0 && drafts.every(({ score, isStopped }) => score === null && !isStopped))
    throw new UserError('no draft of this batch has a score: its server gives nothing that the signal could use');
  const scores = drafts.flatMap(({ score }) => (score === null ? [] : [score]));
  if (sameSignal(signal, own) && scores.length >= MIN_LABELS && new Set(scores).size === 1) {
    throw new UserError(
      `all ${scores.length} scores of this batch are the same (${scores[0]}): they tell nothing apart; choose another --signal`,
    );
  }
}

/** The signals that a sample tells of. */
export const signalsOfSample = (own: SignalSpec): SignalSpec[] => [
  own,
  ...[...SHADOW_SIGNALS, { name: 'head' } as const].filter((one) => !sameSignal(one, own)),
];

/** The documents that a sample may be drawn from, by `custom_id`: too few, or labels of one class, decide nothing. */
export function drawable(
  documents: readonly DecidedDocument[],
  labels: ReadonlyMap<string, Label> | null,
  count: number,
): Set<string> {
  const among = documents.filter(({ customId, isCopy }) => !isCopy && (labels === null || labels.has(customId)));
  const [have, what] = labels === null ? ['documents', 'The batch has'] : ['labelled documents', 'There are'];
  if (Math.min(count, among.length) < MIN_LABELS) {
    throw new UserError(
      `a sample of fewer than ${MIN_LABELS} documents decides nothing: ` +
        (count < MIN_LABELS ? `--sample asks for ${count}` : `${what.toLowerCase()} ${among.length} ${have}`),
    );
  }
  if (labels !== null) refuseOneClass(draftsIn(among), labels);
  return new Set(among.map(({ customId }) => customId));
}

/** The drafts that the batch shows already say whether there is anything to tell apart. */
function refuseOneClass(drafts: readonly DraftedDocument[], labels: ReadonlyMap<string, Label>): void {
  const known = drafts.map(({ customId, draft }) =>
    draft === null ? null : isRight(draft, labels.get(customId), null),
  );
  if (known.length < MIN_LABELS || known.some((right) => right !== known[0] || right === null)) return;
  throw new UserError(
    `by their labels all ${known.length} drafts are ${known[0] === true ? 'right' : 'wrong'}: there is nothing to tell apart`,
  );
}

/** A stage as its answers are priced. */
type PricedStage = { readonly price: Price | null; readonly signal: SignalSpec | null };

/** What some documents will cost if every stage answers them, by what those of a batch took. */
export function costBeforehand(
  documents: readonly DecidedDocument[],
  stages: readonly PricedStage[],
  count: number,
): string {
  let sum = 0;
  let before: PricedTokens[] = [];
  for (const [at, { price, signal }] of stages.entries()) {
    if (price === null) return 'for what its models cost (the configuration has no price of each)';
    const own = documents.flatMap(({ stages: took, isCopy }) => (isCopy ? [] : (took[at] ?? [])));
    const taken = own.length > 0 ? own : before;
    if (taken.length === 0) return 'at a cost that this batch does not tell';
    sum += taken.reduce((all, tokens) => all + usd(tokens, price), 0) / taken.length;
    // Five samples of a stage are five answers; the next stage would give one.
    const answers = signal?.name === 'agreement' ? signal.samples : 1;
    before = taken.map(({ inputTokens, cachedTokens, outputTokens }) => ({
      inputTokens: inputTokens / answers,
      cachedTokens: cachedTokens / answers,
      outputTokens: outputTokens / answers,
    }));
  }
  return `for about $${(sum * count).toPrecision(2)} by what this batch took`;
}
