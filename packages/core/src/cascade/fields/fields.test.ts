import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  draftedDocument,
  NAMES,
  RAW_SCALAR,
  schemaOf,
  sureness,
  write,
  type Doc,
} from '../../../../../test/support/drafted-documents.ts';
import { strictJson } from '../../text/json-line.ts';
import type { Json, JsonObject } from '../../text/json.ts';
import { runAtOnce } from '../../text/slices.ts';
import { readFieldAnswer, type FieldAnswers } from './answer.ts';
import { branchesOf, type Branch } from './branches.ts';
import { continuedText, readContinuedValue } from './continue.ts';
import { mergeFields, type FieldSource, type Merged } from './merge.ts';
import { placeAt, readObject, type Place, type ReadObject } from './places.ts';
import { planFields, type FieldsPlan, type Whole } from './plan.ts';
import { tokensOf } from './pointer.ts';
import { reducedSchema } from './request.ts';

const RUNS = 1_000;

type Drafted = {
  readonly draft: string;
  readonly truth: string;
  readonly fields: readonly FieldSource[];
  readonly schema: JsonObject | null;
  readonly plan: FieldsPlan | Whole;
};

function readOf(text: string): ReadObject {
  const read = runAtOnce(readObject(text));
  assert.ok(read.kind === 'object', text);
  return read;
}

function draftedOf(one: Doc, hasSchema: boolean): Drafted {
  const [draft, truth] = [write(one, 'draft', hasSchema), write(one, 'truth', hasSchema)];
  const schema = hasSchema ? schemaOf(one) : null;
  const sure = sureness(one);
  const fields = readOf(draft).scalars.map(({ path }, at) => ({
    path,
    stage: 0,
    confidence: at / 1000,
    isSure: sure[at] === true,
  }));
  const request = schema === null ? {} : { response_format: { type: 'json_schema', json_schema: { schema } } };
  const plan = runAtOnce(planFields({ text: draft, fields, endpoint: '/v1/chat/completions', request }));
  return { draft, truth, fields, schema, plan };
}

const merge = ({ draft, fields, schema }: Drafted, plan: FieldsPlan, answers: FieldAnswers): Merged =>
  runAtOnce(
    mergeFields({
      draft: { text: draft, fields },
      plan,
      answers,
      stage: 1,
      format: schema === null ? null : { type: 'json_schema', schema },
    }),
  );

/** What an expert that is always right answers when it is asked for these values. */
function answerOf(truth: string, at: Place, { inner }: Branch): string {
  const said = [...inner].flatMap(([name, own]) => {
    const place = at.members?.get(name);
    if (place === undefined) return [];
    const json = own.asked === null ? answerOf(truth, place, own) : truth.slice(place.from, place.to);
    return [`${JSON.stringify(name)}: ${json}`];
  });
  return `{${said.join(', ')}}`;
}

function answersFor(text: string, plan: FieldsPlan): FieldAnswers {
  const read = runAtOnce(readFieldAnswer(text, plan, null));
  assert.ok(read.kind === 'answers', `${text}: ${JSON.stringify(read)}`);
  return read.answers;
}

/** How often each thing came about in a property, so that none is true of nothing. */
class Tally {
  readonly counts = new Map<string, number>();
  add(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
  atLeast(what: string, least: number): void {
    assert.ok((this.counts.get(what) ?? 0) >= least, `${what}: ${JSON.stringify(Object.fromEntries(this.counts))}`);
  }
}

test('where sure values are right, the truth of the others makes the draft exactly the truth', () => {
  const tally = new Tally();
  fc.assert(
    fc.property(draftedDocument, fc.boolean(), (one, hasSchema) => {
      const drafted = draftedOf(one, hasSchema);
      const { plan, truth } = drafted;
      tally.add(plan.kind === 'whole' ? plan.reason : 'fields');
      if (plan.kind === 'whole') return;
      const answer = answerOf(truth, readOf(truth).root, branchesOf(plan));
      const merged = merge(drafted, plan, answersFor(answer, plan));
      tally.add(merged.kind === 'whole' ? merged.reason : hasSchema ? 'merged by schema' : 'merged');
      if (merged.kind === 'merged') assert.equal(merged.text, truth);
      // Without a schema a value of another kind cannot be told from a mistake.
      else assert.ok(merged.reason === 'wrong_kind' && !hasSchema, merged.reason);
    }),
    { numRuns: RUNS },
  );
  for (const what of ['merged', 'merged by schema', 'wrong_kind', 'all_unsure']) tally.atLeast(what, 20);
});

test('and so does going on with it, value by value', () => {
  const tally = new Tally();
  fc.assert(
    fc.property(draftedDocument, fc.boolean(), (one, isRepeated) => {
      const drafted = draftedOf(one, false);
      const { plan, truth, draft } = drafted;
      if (plan.kind === 'whole') return;
      const texts = new Map<string, string>();
      for (const path of plan.paths) {
        const before = runAtOnce(continuedText(draft, path, texts));
        assert.ok(truth.startsWith(before), before);
        const read = runAtOnce(readContinuedValue(before, isRepeated ? truth : truth.slice(before.length)));
        assert.ok(read.kind === 'value', JSON.stringify(read));
        texts.set(path, read.json);
      }
      const merged = merge(drafted, plan, new Map([...texts].map(([path, json]) => [path, { json, fields: null }])));
      tally.add(merged.kind);
      if (merged.kind === 'merged') assert.equal(merged.text, truth);
      else assert.equal(merged.reason, 'wrong_kind');
    }),
    { numRuns: RUNS },
  );
  tally.atLeast('merged', 100);
});

/** Whether a pointer is one of these, or beneath one. */
const isBeneath = (path: string, paths: readonly string[]): boolean =>
  paths.some((one) => path === one || path.startsWith(`${one}/`));

/** Whatever was answered: the merged text is JSON, and outside of what was asked for it is the draft. */
function assertKept({ draft, fields }: Drafted, plan: FieldsPlan, merged: Merged): void {
  if (merged.kind === 'whole') return;
  JSON.parse(merged.text);
  const [before, after] = [readOf(draft), readOf(merged.text)];
  assert.equal(merged.fields.length, after.scalars.length);
  const asked = [...plan.paths, ...plan.absent];
  const outside = ({ scalars }: ReadObject, text: string, sources: readonly FieldSource[]): unknown[] =>
    scalars.flatMap(({ path, from, to }, at) => {
      assert.equal(sources[at]?.path, path);
      return isBeneath(path, asked) ? [] : [{ ...sources[at], json: text.slice(from, to) }];
    });
  assert.deepEqual(outside(after, merged.text, merged.fields), outside(before, draft, fields));
  for (const { path, confidence } of merged.fields) if (isBeneath(path, asked)) assert.equal(confidence, null);
}

test('an answer that says anything else changes nothing but what was asked for, or nothing', () => {
  const tally = new Tally();
  const change = fc.tuple(
    fc.nat(),
    fc.nat({ max: 2 }),
    fc.constantFrom('', ',', '[', ']', '{', '}', '"', '1', '"a":1,'),
  );
  const mistake = fc.oneof(
    fc.record({ kind: fc.constant('other' as const), text: fc.json() }),
    fc.record({ kind: fc.constant('less' as const), at: fc.nat() }),
    fc.record({ kind: fc.constant('more' as const), name: fc.constantFrom(...NAMES), json: fc.json() }),
    fc.record({ kind: fc.constant('changed' as const), changes: fc.array(change, { maxLength: 2 }) }),
  );
  fc.assert(
    fc.property(draftedDocument, fc.boolean(), mistake, (one, hasSchema, made) => {
      const drafted = draftedOf(one, hasSchema);
      const { plan, truth } = drafted;
      if (plan.kind === 'whole') return;
      const own = made.kind === 'less' ? plan.paths.filter((_, at) => at !== made.at % plan.paths.length) : plan.paths;
      let answer = answerOf(truth, readOf(truth).root, branchesOf({ ...plan, paths: own }));
      if (made.kind === 'other') answer = made.text;
      if (made.kind === 'more') answer = answer.replace('{', `{${JSON.stringify(made.name)}:${made.json},`);
      for (const [at, cut, put] of made.kind === 'changed' ? made.changes : []) {
        const place = at % (answer.length + 1);
        answer = answer.slice(0, place) + put + answer.slice(place + cut);
      }
      const read = runAtOnce(readFieldAnswer(answer, plan, null));
      tally.add(read.kind === 'whole' ? read.reason : 'answers');
      if (read.kind === 'whole') return;
      const merged = merge(drafted, plan, read.answers);
      tally.add(merged.kind);
      assertKept(drafted, plan, merged);
    }),
    { numRuns: RUNS },
  );
  for (const what of ['merged', 'whole', 'no_object', 'not_asked', 'left_out', 'repeated_names'])
    tally.atLeast(what, 5);
});

test('what a stage in between answered and was sure of stays when the next one is asked', () => {
  const tally = new Tally();
  fc.assert(
    fc.property(draftedDocument, fc.infiniteStream(fc.boolean()), (one, sure) => {
      const drafted = draftedOf(one, false);
      const { plan, truth } = drafted;
      if (plan.kind === 'whole') return;
      const text = answerOf(truth, readOf(truth).root, branchesOf(plan));
      const judged = readOf(text).scalars.map(({ path }) => {
        const isSure = sure.next().value === true;
        return { path, score: 0, confidence: isSure ? 1 : 0, isSure };
      });
      const read = runAtOnce(readFieldAnswer(text, plan, judged));
      assert.ok(read.kind === 'answers');
      const merged = merge(drafted, plan, read.answers);
      if (merged.kind === 'whole') return;
      const next = runAtOnce(
        planFields({ text: merged.text, fields: merged.fields, endpoint: '/v1/chat/completions', request: {} }),
      );
      tally.add(next.kind === 'whole' ? next.reason : 'fields');
      if (next.kind === 'whole') return;
      for (const path of next.paths) assert.ok(plan.paths.includes(path), path);
      const again = answersFor(answerOf(truth, readOf(truth).root, branchesOf(next)), next);
      const final = merge({ ...drafted, draft: merged.text, fields: merged.fields }, next, again);
      assert.ok(final.kind === 'merged' && final.text === truth);
      assertKept({ ...drafted, draft: merged.text, fields: merged.fields }, next, final);
    }),
    { numRuns: RUNS },
  );
  for (const what of ['fields', 'none_unsure']) tally.atLeast(what, 20);
});

test('and so does any text in the place of a value', () => {
  const tally = new Tally();
  const text = fc.oneof(
    RAW_SCALAR,
    fc.json(),
    fc.string({ unit: fc.constantFrom('"', ',', '1', ':', '}', '{', '[', ']', ' ') }),
  );
  fc.assert(
    fc.property(
      draftedDocument,
      fc.boolean(),
      fc.array(text, { minLength: 16, maxLength: 16 }),
      (one, hasSchema, texts) => {
        const drafted = draftedOf(one, hasSchema);
        const { plan } = drafted;
        if (plan.kind === 'whole') return;
        const asked = [...plan.paths, ...plan.absent];
        const answers = new Map(asked.map((path, at) => [path, { json: texts[at] ?? '', fields: null }]));
        const merged = merge(drafted, plan, answers);
        tally.add(merged.kind === 'whole' ? merged.reason : 'merged');
        assertKept(drafted, plan, merged);
      },
    ),
    { numRuns: RUNS },
  );
  for (const what of ['merged', 'no_json', 'wrong_kind', 'misses_schema']) tally.atLeast(what, 5);
});

test('what is asked for by a schema is what the reduced one lists', () => {
  const pathsOf = (schema: Json | undefined, at: Branch): string[] =>
    Object.entries((schema as { readonly properties?: JsonObject }).properties ?? {}).flatMap(([name, inner]) => {
      const own = at.inner.get(name);
      assert.ok(own !== undefined, name);
      return own.asked === null ? pathsOf(inner, own) : [own.asked];
    });
  fc.assert(
    fc.property(draftedDocument, (one) => {
      const { plan, schema, draft } = draftedOf(one, true);
      if (plan.kind === 'whole' || schema === null) return;
      const reduced = reducedSchema(schema, plan);
      const all = [...plan.paths, ...plan.absent];
      assert.deepEqual(pathsOf(JSON.parse(strictJson(reduced)) as Json, branchesOf(plan)).toSorted(), all.toSorted());
      for (const path of plan.paths) assert.ok(placeAt(readOf(draft).root, tokensOf(path)) !== null);
      for (const path of plan.absent) assert.ok(placeAt(readOf(draft).root, tokensOf(path)) === null);
    }),
    { numRuns: RUNS },
  );
});
