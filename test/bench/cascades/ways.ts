import { handledBy, type Handled, type ReadLine } from './handled.ts';

/** A way of answering the same documents with the same pair of models. */
export type Way = { readonly name: string } & (
  | {
      readonly kind: 'cascade';
      /** Of its entry below `cascades:`, beside the models and the threshold. */
      readonly spec: Readonly<Record<string, unknown>>;
      readonly read: ReadLine;
      /** Only where the expert can say yes and no, which the embedded one does not (see `replay.ts`). */
      readonly needsVerdicts?: true;
    }
  | { readonly kind: 'alone'; readonly role: 'drafter' | 'expert' }
  | {
      readonly kind: 'blocks';
      /** Tokens that the drafter writes before the expert looks at them. */
      readonly block: number;
      /** Null: only the expert's own tokens stand. */
      readonly tolerance: number | null;
    }
);

const cascade = (
  name: string,
  spec: Readonly<Record<string, unknown>>,
  read: ReadLine = handledBy,
): Extract<Way, { kind: 'cascade' }> => ({
  kind: 'cascade',
  name,
  spec,
  read,
});

/** With what the others are compared: the expert's own answers, and a cascade that does everything twice. */
export const EXPERT_ONLY = 'expert only';
export const PLAIN = 'plain cascade';
export const STOPPING = 'stop early';
export const EXACT = 'verify';
export const FIELDS = 'fields';

/**
 * What is compared, in the table's order. A further way of the cascade is a line here: its configuration, and how its
 * result lines are read where that is not as of two stages that answer.
 */
export const WAYS: readonly Way[] = [
  { kind: 'alone', name: EXPERT_ONLY, role: 'expert' },
  { kind: 'alone', name: 'drafter only', role: 'drafter' },
  cascade(PLAIN, { stop_early: false }),
  cascade(STOPPING, { stop_early: true }),
  cascade(EXACT, { ask: 'verify' }),
  cascade('verify, ε .1', { ask: 'verify', verify: { tolerance: 0.1 } }),
  cascade('verify, ε .3', { ask: 'verify', verify: { tolerance: 0.3 } }),
  cascade(FIELDS, { ask: 'fields' }),
  { ...cascade('verdict', { ask: 'verdict', verdict: { accept_at: 0.5 } }), needsVerdicts: true },
  cascade('stop early, verify', { ask: 'verify', stop_early: true }),
  { kind: 'blocks', name: 'speculative decoding, 4', block: 4, tolerance: null },
  { kind: 'blocks', name: 'speculative decoding, 8', block: 8, tolerance: null },
  { kind: 'blocks', name: 'speculative cascade, 8, ε .3', block: 8, tolerance: 0.3 },
];

/**
 * What is compared on orders of ten values. At one threshold values alone are answered less well than the whole, which also
 * mends values that seemed sure, so they stand at the stricter ones that are as good on 5,000 orders (docs/cascades.md).
 */
export const ORDER_WAYS: readonly Way[] = [
  { kind: 'alone', name: EXPERT_ONLY, role: 'expert' },
  { kind: 'alone', name: 'drafter only', role: 'drafter' },
  cascade(PLAIN, { accept_at: 0.9, stop_early: false }),
  cascade(STOPPING, { accept_at: 0.9, stop_early: true }),
  cascade(EXACT, { accept_at: 0.9, ask: 'verify' }),
  cascade(FIELDS, { accept_at: 0.98, ask: 'fields' }),
  cascade('fields, .99', { accept_at: 0.99, ask: 'fields' }),
];

/** What a way's cascade is called in requests. */
export const cascadeName = ({ name }: Way): string => name.replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');

/** What a way made of the documents, in their order, and how long it took. */
export type Round = { readonly handled: readonly Handled[]; readonly makespanS: number };
