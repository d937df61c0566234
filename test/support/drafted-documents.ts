import fc from 'fast-check';
import { setOwn, type Json, type JsonObject } from '@spillway/core';

/** A document as a drafter wrote it, and as it ought to be. */
export type Doc =
  | { readonly kind: 'scalar'; readonly draft: string; readonly truth: string; readonly isDoubted: boolean }
  | { readonly kind: 'array'; readonly pad: string; readonly draft: readonly Doc[]; readonly truth: readonly Doc[] }
  | {
      readonly kind: 'object';
      readonly pad: string;
      readonly members: readonly (readonly [string, Doc])[];
      /** What the drafter left out; where a schema says that it may be there. */
      readonly left: readonly (readonly [string, Doc])[];
      readonly schema: 'listed' | 'choice' | 'open';
    };

type Side = 'draft' | 'truth';

export const RAW_SCALAR = fc.oneof(
  fc.constantFrom('1e400', '12345678901234567890', '-0', '0.10', '1E5', 'true', 'false', 'null', '""', '"a"', '"b"'),
  fc.constantFrom('"é😀\u2028"', String.raw`"\u0041"`, String.raw`"\",}]\\"`, String.raw`"\ud83d"`, '"```{"'),
);
/**
 * Names with an escape are of one kind only: V8 13.6 takes an escaped name for another of its length that it has seen at
 * its place. And none is a number, as objects put those first.
 */
export const NAMES = [
  '',
  'a',
  '~',
  '/',
  '~1',
  'a/b',
  '__proto__',
  'constructor',
  'é😀',
  '0.',
  '*',
  'c"',
  'x'.repeat(70),
];
const pad = fc.constantFrom('', ' ', '\n  ');

const members = (doc: fc.Arbitrary<Doc>, maxLength: number): fc.Arbitrary<readonly (readonly [string, Doc])[]> =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...NAMES), doc), { maxLength, selector: ([name]) => name });

const { doc } = fc.letrec<{ doc: Doc }>((tie) => ({
  doc: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('scalar' as const),
        draft: RAW_SCALAR,
        truth: RAW_SCALAR,
        isDoubted: fc.integer({ min: 0, max: 5 }).map((one) => one === 0),
      }),
    },
    // Most values of a draft are right.
    {
      weight: 8,
      arbitrary: RAW_SCALAR.map((draft): Doc => ({ kind: 'scalar', draft, truth: draft, isDoubted: false })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(pad, fc.array(tie('doc'), { maxLength: 3 }), fc.array(tie('doc'), { maxLength: 3 }), fc.boolean())
        .map(([own, draft, truth, isRight]): Doc => ({
          kind: 'array',
          pad: own,
          draft,
          truth: isRight ? draft : truth,
        })),
    },
    { weight: 2, arbitrary: objectOf(tie('doc')) },
  ),
}));

function objectOf(inner: fc.Arbitrary<Doc>): fc.Arbitrary<Doc & { kind: 'object' }> {
  return fc
    .tuple(pad, members(inner, 6), members(inner, 2), fc.constantFrom('listed', 'listed', 'choice', 'open' as const))
    .map(([own, all, left, schema]) => ({
      kind: 'object',
      pad: own,
      members: all,
      left: left.filter(([name]) => all.every(([other]) => other !== name)),
      schema,
    }));
}

/** A document whose outermost object lists its members, where it has a schema. */
export const draftedDocument = objectOf(doc).map((one) => ({ ...one, schema: 'listed' as const }));

/** `canMiss`: there is a schema by which what was left out can be asked for. */
export function write(one: Doc, side: Side, canMiss: boolean): string {
  if (one.kind === 'scalar') return one[side];
  if (one.kind === 'array')
    return `[${one[side].map((item) => one.pad + write(item, side, false)).join(',')}${one.pad}]`;
  const goes = canMiss && one.schema === 'listed';
  const all = side === 'truth' && goes ? [...one.members, ...one.left] : one.members;
  const written = all.map(([name, inner]) => `${one.pad}${JSON.stringify(name)}:${one.pad}${write(inner, side, goes)}`);
  return `{${written.join(',')}${one.pad}}`;
}

/** Whether each scalar of the draft is sure: not where it is wrong, or in an array that is. */
export function sureness(one: Doc, isWrong = false): boolean[] {
  if (one.kind === 'scalar') return [!isWrong && one.draft === one.truth && !one.isDoubted];
  if (one.kind === 'object') return one.members.flatMap(([, inner]) => sureness(inner, isWrong));
  const isOther = isWrong || write(one, 'draft', false) !== write(one, 'truth', false);
  return one.draft.flatMap((inner) => sureness(inner, isOther));
}

export function schemaOf(one: Doc): JsonObject {
  if (one.kind === 'scalar') return { type: ['string', 'number', 'boolean', 'null'] };
  if (one.kind === 'array') return { type: 'array' };
  if (one.schema === 'open') return { type: 'object' };
  const properties: Record<string, Json> = {};
  for (const [name, inner] of [...one.members, ...one.left]) setOwn(properties, name, schemaOf(inner));
  const required = one.members.filter((_, at) => at % 2 === 0).map(([name]) => name);
  const closed = { type: 'object', properties, required, additionalProperties: false };
  return one.schema === 'choice' ? { ...closed, anyOf: [{}] } : closed;
}
