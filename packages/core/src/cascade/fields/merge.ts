import type { AskedFormat } from '../../endpoints/endpoint.ts';
import { missesSchema } from '../../confidence/json-schema.ts';
import { LIMITS } from '../../limits.ts';
import { isJsonBlank } from '../../text/json-codes.ts';
import { readingJson } from '../../text/json-read.ts';
import { isJsonObject, type Json } from '../../text/json.ts';
import type { Sliced } from '../../text/slices.ts';
import type { AnsweredField, FieldAnswers, MisfitReason } from './answer.ts';
import { placeAt, readObject, type Place, type ReadObject } from './places.ts';
import type { FieldsPlan } from './plan.ts';
import { tokensOf } from './pointer.ts';
import { saysKind, schemaAt } from './schema.ts';

/** Whom a scalar of an answer came from. */
export type FieldSource = {
  readonly path: string;
  /** From 0. */
  readonly stage: number;
  /** Null: nobody judged it, as the stage was the last one, or it is not kept. */
  readonly confidence: number | null;
  readonly isSure: boolean;
};

/** An answer, and one source for each scalar of its text, in its order. */
export type SourcedText = { readonly text: string; readonly fields: readonly FieldSource[] };

/** A draft, and the same of its scalars: where they stand its text says. */
export type SourcedDraft = { readonly text: string; readonly fields: readonly Omit<FieldSource, 'path'>[] };

/** What is merged. */
export type MergeParts = {
  readonly draft: SourcedDraft;
  readonly plan: FieldsPlan;
  readonly answers: FieldAnswers;
  /** The stage that answered, from 0. */
  readonly stage: number;
  /** What the client's request asks its answer to be. */
  readonly format: AskedFormat | null;
};

/** `no_json`: a value is no JSON by itself; `wrong_kind`, `misses_schema`: it is none that may stand in its place. */
export type MergeReason = MisfitReason | 'no_json' | 'wrong_kind' | 'misses_schema';

export type Merged =
  | ({ readonly kind: 'merged' } & SourcedText)
  | { readonly kind: 'whole'; readonly reason: MergeReason };

const whole = (reason: MergeReason): Merged => ({ kind: 'whole', reason });

/** A stretch of the draft's text that something else takes the place of. */
type Edit = {
  readonly from: number;
  readonly to: number;
  /** What goes before the value, where a member is put in. */
  readonly before: string;
  readonly answer: AnsweredField;
  /** The draft's scalars that it takes the place of: from this one on, and before that one. */
  readonly firstScalar: number;
  readonly scalarsEnd: number;
};

/**
 * The draft's text with the answered values in their places: all else stays as it was written, to the blank, and the
 * values are written as they came, as a number may say more than a parser keeps of it. What cannot be shown to fit is
 * not merged.
 */
export function* mergeFields({ draft, plan, answers, stage, format }: MergeParts): Sliced<Merged> {
  const read = yield* readObject(draft.text);
  if (read.kind === 'whole') return read;
  if (draft.fields.length !== read.scalars.length) return whole('not_judged');
  const known = new Set([...plan.paths, ...plan.absent]);
  if ([...answers.keys()].some((path) => !known.has(path))) return whole('not_asked');
  if (plan.paths.some((path) => !answers.has(path))) return whole('left_out');
  const edits: Edit[] = [];
  for (const [path, answer] of answers) {
    if (plan.paths.includes(path) && placeAt(read.root, tokensOf(path)) === null)
      throw new RangeError(`a draft has no ${JSON.stringify(path)} that was planned of it`);
    const misfit = yield* misfitOf(path, answer, { draft: draft.text, read, format });
    if (misfit !== null) return whole(misfit);
    edits.push(editOf(path, answer, { text: draft.text, read }));
  }
  // Members that are put in at the same place keep their order, as sorting does not change it.
  edits.sort((left, right) => left.from - right.from);
  return yield* joined(draft, edits, { stage, format });
}

/** Why a value may not stand in its place; null: it may. */
function* misfitOf(
  path: string,
  { json }: AnsweredField,
  { draft, read, format }: { readonly draft: string; readonly read: ReadObject; readonly format: AskedFormat | null },
): Sliced<MergeReason | null> {
  if (json.length > LIMITS.judgedCharacters) return 'too_large';
  const value = yield* readingJson(json, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  if (value.kind !== 'json') return value.kind === 'beyond' ? 'too_large' : 'no_json';
  const schema = isJsonObject(format?.schema) ? format.schema : null;
  const own = schema === null ? undefined : schemaAt(schema, tokensOf(path));
  if (schema !== null && missesSchema(value.value, own, schema)) return 'misses_schema';
  const place = placeAt(read.root, tokensOf(path));
  const isOther = place !== null && !saysKind(own) && !isOfKind(value.value, kindAt(draft, place));
  return isOther ? 'wrong_kind' : null;
}

type Kind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

function kindAt(text: string, { kind, from }: Place): Kind {
  if (kind !== 'scalar') return kind;
  const first = text.charAt(from);
  if (first === '"') return 'string';
  if (first === 'n') return 'null';
  return first === 't' || first === 'f' ? 'boolean' : 'number';
}

/** A value of the same kind; a scalar that was null says nothing of its kind, and any value may be null. */
function isOfKind(value: Json, kind: Kind): boolean {
  if (value === null) return true;
  if (kind === 'null') return typeof value !== 'object';
  if (kind === 'array') return Array.isArray(value);
  return kind === 'object' ? isJsonObject(value) : typeof value === kind;
}

function editOf(
  path: string,
  answer: AnsweredField,
  { text, read }: { readonly text: string; readonly read: ReadObject },
): Edit {
  const tokens = tokensOf(path);
  const place = placeAt(read.root, tokens);
  if (place !== null) {
    const { from, to, firstScalar, scalarsEnd } = place;
    return { from, to, before: '', answer, firstScalar, scalarsEnd };
  }
  const object = placeAt(read.root, tokens.slice(0, -1));
  const last = [...(object?.members?.values() ?? [])].at(-1);
  if (object === null || last === undefined) throw new RangeError(`a draft has no object for ${JSON.stringify(path)}`);
  const { scalarsEnd } = object;
  // Behind the last member, with the blanks that the draft has around that one's name.
  let blanksFrom = last.nameFrom;
  while (isJsonBlank(text.charCodeAt(blanksFrom - 1))) blanksFrom -= 1;
  const name = JSON.stringify(tokens.at(-1));
  const before = `,${text.slice(blanksFrom, last.nameFrom)}${name}${text.slice(last.nameTo, last.from)}`;
  return { from: last.to, to: last.to, before, answer, firstScalar: scalarsEnd, scalarsEnd };
}

/** What an edit wrote into the joined text. */
type Written = Edit & { readonly writtenFrom: number; readonly writtenTo: number };

function* joined(
  { text, fields }: SourcedDraft,
  edits: readonly Edit[],
  { stage, format }: { readonly stage: number; readonly format: AskedFormat | null },
): Sliced<Merged> {
  const pieces: string[] = [];
  const written: Written[] = [];
  let [at, length] = [0, 0];
  for (const edit of edits) {
    const { from, to, before, answer } = edit;
    const writtenFrom = length + from - at + before.length;
    length = writtenFrom + answer.json.length;
    pieces.push(text.slice(at, from), before, answer.json);
    written.push({ ...edit, writtenFrom, writtenTo: length });
    at = to;
  }
  const merged = [...pieces, text.slice(at)].join('');
  const read = yield* readObject(merged);
  if (read.kind === 'whole') return read;
  if (format?.type === 'json_schema' && missesSchema(read.value, format.schema)) return whole('misses_schema');
  yield;
  const sources = sourcesOf(read.scalars, { fields, written, stage });
  return sources === null ? whole('not_judged') : { kind: 'merged', text: merged, fields: sources };
}

/** Null: the answer's values have other scalars than were judged. */
function sourcesOf(
  scalars: readonly Place[],
  {
    fields,
    written,
    stage,
  }: { readonly fields: SourcedDraft['fields']; readonly written: readonly Written[]; readonly stage: number },
): FieldSource[] | null {
  const sources: FieldSource[] = [];
  let [scalar, own] = [0, 0];
  const add = (place: Place, source: Omit<FieldSource, 'path'> | undefined): void => {
    if (source !== undefined) sources.push({ ...source, path: place.path });
  };
  for (const { writtenFrom, writtenTo, answer, scalarsEnd } of written) {
    for (let place = scalars[own]; place !== undefined && place.from < writtenFrom; place = scalars[(own += 1)])
      add(place, fields[scalar++]);
    const first = own;
    for (let place = scalars[own]; place !== undefined && place.from < writtenTo; place = scalars[(own += 1)]) {
      const judged = answer.fields === null ? { confidence: null, isSure: true } : answer.fields[own - first];
      if (judged !== undefined) add(place, { confidence: judged.confidence, isSure: judged.isSure, stage });
    }
    if (answer.fields !== null && answer.fields.length !== own - first) return null;
    scalar = scalarsEnd;
  }
  for (const place of scalars.slice(own)) add(place, fields[scalar++]);
  return sources.length === scalars.length ? sources : null;
}
