import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptedDraftOf, answerOf, draftOf, failedDraftOf, jobOf, rulesOf } from '../../../../test/support/jobs.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { runAtOnce } from '../text/slices.ts';
import { deliveringStage, stagesOf, type Ending } from './ending.ts';
import { newJob, type CascadeDocument, type Draft } from './job.ts';
import { keptText, readingDelivered, readingKept, type KeptDocument } from './kept.ts';
import { keptResult } from './kept-result.ts';
import { redecide, type Redecided } from './redecide.ts';
import { readResultLine } from './result-line.ts';
import { resultOf } from './result.ts';

/** What a stage says of a document, whenever it is asked; a `bound` is what a draft could have scored that is stopped. */
type Said = { readonly confidence: number | null; readonly bound: number | null };

const said: fc.Arbitrary<Said> = fc.record({
  confidence: fc.option(fc.constantFrom(0.1, 0.3, 0.5, 0.7, 0.9), { freq: 6 }),
  bound: fc.option(fc.constantFrom(0.2, 0.4, 0.6), { freq: 4 }),
});
const threshold = fc.constantFrom(0, 0.2, 0.3, 0.5, 0.6, 0.8, 1);

const cascade = fc.integer({ min: 1, max: 2 }).chain((judged) =>
  fc.record({
    said: fc.array(said, { minLength: judged, maxLength: judged }),
    before: fc.array(threshold, { minLength: judged, maxLength: judged }),
    now: fc.array(threshold, { minLength: judged, maxLength: judged }),
    later: fc.array(threshold, { minLength: judged, maxLength: judged }),
    isShadow: fc.boolean(),
    hasExpertFailed: fc.boolean(),
  }),
);

/** The confidence is the score. */
const rulesBy = (acceptAt: readonly number[], shadow = false): CascadeRules =>
  rulesOf({
    models: ['small', 'medium', 'large'].slice(2 - acceptAt.length),
    acceptAt,
    signal: { name: 'label', answers: ['yes', 'no'] },
    shadow,
  });

const textOf = (stage: number): string => `said by ${stage}`;
const answerBy = (stage: number) =>
  answerOf({ body: { choices: [{ message: { content: textOf(stage) }, finish_reason: 'stop' }] } });

/** Runs a document from a job on, as workers do; answers how it ended, and which stages were asked. */
function run(
  start: CascadeDocument['job'],
  rules: CascadeRules,
  { said: all, hasExpertFailed = false }: { readonly said: readonly Said[]; readonly hasExpertFailed?: boolean },
) {
  const asked: number[] = [];
  const drafts: Draft[] = [...start.drafts];
  for (let stage = start.stage; stage < all.length; stage += 1) {
    asked.push(stage);
    const { confidence, bound } = all[stage] as Said;
    const { acceptAt = 1 } = rules.stages[stage]?.judge ?? {};
    const answer = answerBy(stage);
    // It is stopped only where that decides, and then it was not judged.
    if (bound !== null && bound < acceptAt && !rules.shadow && (confidence ?? 0) <= bound) {
      const stopped = { scoreAtMost: bound, isEstimated: false, acceptAt };
      drafts.push(draftOf({ answer, score: null, confidence: null, stopped }));
    } else if (confidence === null) {
      drafts.push(failedDraftOf());
    } else if (confidence >= acceptAt && !rules.shadow) {
      const draft = acceptedDraftOf({ answer, score: confidence, confidence });
      return { asked, document: documentOf(drafts, rules), ending: { kind: 'accepted', draft } as Ending };
    } else {
      const reason = rules.shadow ? 'shadow_run' : 'low_confidence';
      drafts.push(draftOf({ answer, score: confidence, confidence, reason }));
    }
  }
  asked.push(all.length);
  const span = { startedAtMs: 1, endedAtMs: 2 };
  const ending: Ending = hasExpertFailed
    ? { kind: 'failed', error: { code: 'server_error', message: '' }, why: { type: '500', message: '' }, ...span }
    : { kind: 'answered', answer: answerBy(all.length), ...span };
  return { asked, document: documentOf(drafts, rules), ending };
}

const documentOf = (drafts: readonly Draft[], rules: CascadeRules): CascadeDocument => ({
  job: jobOf({ stage: drafts.length, drafts }),
  rules,
});

/** The answer that a batch's line has, and what its page keeps of the document, both as they are read again. */
function readAgain(line: { part: string; text: string }, kept: string | null | undefined): KeptDocument | null {
  const delivered = line.part === 'output' ? runAtOnce(readingDelivered(line.text)) : null;
  return kept == null ? null : runAtOnce(readingKept(kept, delivered));
}

const { endpoint, body } = jobOf();

test('a document is decided as if it were asked about anew, and asked only what is not known', () => {
  fc.assert(
    fc.property(cascade, ({ said: all, before, now, later, isShadow, hasExpertFailed }) => {
      const old = rulesBy(before, isShadow);
      const first = run(jobOf(), old, { said: all, hasExpertFailed });
      const { line } = resultOf(first.document, first.ending);
      let kept = readAgain(line, keptText(first.document, first.ending));
      let known = new Set(first.asked.filter((stage) => !(hasExpertFailed && stage === all.length)));
      for (const next of [rulesBy(now), rulesBy(later)]) {
        if (kept === null) return;
        const decided: Redecided = runAtOnce(redecide({ kept, rules: next, endpoint, body }));
        const anew = run(jobOf(), next, { said: all });
        const delivered = deliveringStage(stagesOf(anew.document, anew.ending));
        if (decided.kind === 'settled') {
          const document = { job: newJob(jobOf()), rules: next };
          const result = keptResult({ document, kept, decided, from: 'batch_old' });
          const shown = readResultLine(result.line.text);
          assert.equal(shown?.cascade?.stage, delivered + 1);
          assert.deepEqual(shown.response?.body, answerBy(delivered).body);
          assert.ok(shown.cascade.stages.every((one) => one.kept === true && one.usage.input_tokens === 0));
          assert.deepEqual(
            shown.cascade.stages.map(({ accept_at }) => accept_at),
            next.stages.slice(0, delivered + 1).map(({ judge }) => judge?.acceptAt ?? null),
          );
          assert.deepEqual(result.counts, { completed: 1, kept: 1 });
          kept = readAgain(result.line, result.kept);
        } else {
          const { drafts, isDraftedAgain } = decided;
          const stage = drafts.length;
          const isStopped = kept.stages[stage]?.judgement?.stopped !== undefined;
          assert.equal(isDraftedAgain, isStopped, 'what is drafted again was stopped');
          assert.ok(isStopped || !known.has(stage), 'what is known is not asked');
          const rest = run(jobOf({ stage, drafts }), next, { said: all });
          assert.deepEqual(anew.asked.slice(-rest.asked.length), rest.asked, 'no more than what it needs');
          assert.deepEqual(
            deliveringStage(stagesOf(rest.document, rest.ending)),
            delivered,
            'and it comes to the same end',
          );
          const result = resultOf(rest.document, rest.ending);
          for (const at of drafts.keys()) {
            assert.equal(result.counts[`test/${at + 1}/inputTokens`], undefined);
            assert.equal(result.counts[`test/${at + 1}/kept`], 1);
          }
          kept = readAgain(result.line, keptText(rest.document, rest.ending));
          known = new Set([...drafts.keys(), ...rest.asked]);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('lower thresholds ask nobody, but for drafts that were stopped; a shadow run holds everything', () => {
  fc.assert(
    fc.property(cascade, ({ said: all, before, now, isShadow }) => {
      const isLower = now.every((one, stage) => one <= (before[stage] ?? 0));
      if (!isShadow && !isLower) return;
      const old = rulesBy(before, isShadow);
      const { document, ending } = run(jobOf(), old, { said: all });
      const kept = readAgain(resultOf(document, ending).line, keptText(document, ending)) ?? assert.fail();
      const decided = runAtOnce(redecide({ kept, rules: rulesBy(now), endpoint, body }));
      assert.ok(decided.kind === 'settled' || (decided.isDraftedAgain && !isShadow));
    }),
    { numRuns: 1_000 },
  );
});

/** A cascade whose last stage asks in a way of its own. */
function rulesAsking(acceptAt: number, last: Partial<CascadeRules['stages'][number]>, fields?: Record<string, number>) {
  const { stages, ...others } = rulesBy([acceptAt]);
  const [first, expert] = stages as [CascadeRules['stages'][number], CascadeRules['stages'][number]];
  const own = Object.fromEntries(Object.entries(fields ?? {}).map(([path, from]) => [path, { acceptAt: from }]));
  const judge = first.judge === null ? null : { ...first.judge, ...(fields === undefined ? {} : { fields: own }) };
  return {
    ...others,
    stages: [
      { ...first, judge },
      { ...expert, ...last },
    ],
  };
}

const jsonAnswer = answerOf({
  body: { choices: [{ message: { content: '{"a":1,"b":{"c":2,"d":3}}' }, finish_reason: 'stop' }] },
});
const instead = { inputTokens: 1, outputTokens: 1, ms: null };

/** What is kept of a document of that draft, and how it was asked about then. */
function keptOf(
  draft: Partial<Draft>,
  rules: CascadeRules,
  ending: Omit<Extract<Ending, { kind: 'answered' }>, 'kind'>,
) {
  const document = { job: jobOf({ stage: 1, drafts: [draftOf(draft)] }), rules };
  const ended: Ending = { kind: 'answered', ...ending };
  return readAgain(resultOf(document, ended).line, keptText(document, ended)) ?? assert.fail();
}

test('an answer to unsure values stands as long as it has all that are unsure', () => {
  const before = rulesAsking(0.8, { ask: 'fields' });
  const draft = { answer: jsonAnswer, score: 0.5, confidence: 0.5, valueScores: [0.9, 0.7, 0.5], sureValues: '100' };
  const how = { kind: 'fields', asked: ['/b'], isEstimated: false, instead } as const;
  const kept = keptOf(draft, before, { answer: answerOf(), how, startedAtMs: 1, endedAtMs: 2 });
  const decide = (rules: CascadeRules) => runAtOnce(redecide({ kept, rules, endpoint, body }));
  const by = (decided: Redecided) => (decided.kind === 'settled' ? decided.by : decided.drafts.at(-1)?.sureValues);
  assert.deepEqual(by(decide(rulesAsking(0.8, { ask: 'fields' }))), 'answer');
  assert.deepEqual(
    by(decide(rulesAsking(0.6, { ask: 'fields' }))),
    'answer',
    'it was asked for more than is unsure now',
  );
  assert.deepEqual(by(decide(rulesAsking(0.5, { ask: 'fields' }))), 'draft');
  assert.deepEqual(by(decide(rulesAsking(0.95, { ask: 'fields' }))), '000', 'and is asked for all that is unsure now');
  // A value with a threshold of its own is sure or not whatever that of its stage is.
  assert.deepEqual(by(decide(rulesAsking(0.5, { ask: 'fields' }, { '/a': 0.95 }))), '011');
  assert.deepEqual(by(decide(rulesAsking(0.8, { ask: 'fields' }, { '/b': 0.4 }))), 'draft');
  const unscored = { answer: jsonAnswer, score: 0.9, confidence: 0.9, sureValues: '100' };
  const older = keptOf(unscored, before, { answer: answerOf(), how, startedAtMs: 1, endedAtMs: 2 });
  const rules = rulesAsking(0.8, { ask: 'fields' }, { '/a': 0.1 });
  const decided = runAtOnce(redecide({ kept: older, rules, endpoint, body }));
  assert.equal(decided.kind, 'asked', 'values without scores are not final where some have thresholds');
  const whole = { kind: 'answer', reason: 'all_unsure' } as const;
  const asked = keptOf(draft, before, { answer: answerOf(), how: whole, startedAtMs: 1, endedAtMs: 2 });
  const raised = rulesAsking(0.95, { ask: 'fields' });
  assert.equal(by(runAtOnce(redecide({ kept: asked, rules: raised, endpoint, body }))), 'answer');
});

test('a verdict stands, and is enough or not by the threshold of verdicts', () => {
  const verdictAt = (acceptAt: number) => ({
    ask: 'verdict' as const,
    verdict: { confidence: { signal: { name: 'self_assessment' as const }, calibration: null }, acceptAt },
  });
  const before = rulesAsking(0.8, verdictAt(0.9));
  const how = { kind: 'verdict', stage: 0, score: 0.7, confidence: 0.7, instead } as const;
  const draft = draftOf({ answer: answerBy(0), score: 0.5, confidence: 0.5 });
  const document = { job: jobOf({ stage: 1, drafts: [draft] }), rules: before };
  const usage = answerOf().usage;
  const confirmed: Ending = { kind: 'confirmed', how, usage, extra: [], startedAtMs: 1, endedAtMs: 2 };
  const refused = keptOf(draft, before, { answer: answerBy(1), how, startedAtMs: 1, endedAtMs: 2 });
  const agreed = readAgain(resultOf(document, confirmed).line, keptText(document, confirmed)) ?? assert.fail();
  const by = (kept: KeptDocument, rules: CascadeRules) => {
    const decided = runAtOnce(redecide({ kept, rules, endpoint, body }));
    if (decided.kind === 'asked') return 'asked';
    const result = keptResult({ document: { job: jobOf(), rules }, kept, decided, from: 'batch_old' });
    const { cascade: shown, response } = readResultLine(result.line.text) ?? assert.fail();
    assert.deepEqual(response?.body, answerBy((shown?.stage ?? 0) - 1).body);
    assert.deepEqual(readAgain(result.line, result.kept), kept, 'all that was known is known');
    return shown?.by ?? shown?.stage;
  };
  assert.equal(by(refused, before), 2);
  assert.equal(by(refused, rulesAsking(0.8, verdictAt(0.7))), 'verdict');
  assert.equal(by(refused, rulesAsking(0.5, verdictAt(0.9))), 1);
  assert.equal(by(agreed, rulesAsking(0.8, verdictAt(0.7))), 'verdict');
  assert.equal(by(agreed, rulesAsking(0.8, verdictAt(0.8))), 'asked');
});

test('what is kept is read as it was written, and nothing else is', () => {
  const { document, ending } = run(jobOf(), rulesBy([0.8]), { said: [{ confidence: 0.5, bound: null }] });
  const text = keptText(document, ending) ?? assert.fail();
  const { line } = resultOf(document, ending);
  assert.ok(!text.includes(textOf(1)) && text.includes(textOf(0)), 'what the line has is not written twice');
  const kept = readAgain(line, text) ?? assert.fail();
  assert.deepEqual(
    kept.stages.map(({ answer }) => answer),
    [answerBy(0), answerBy(1)],
  );
  assert.equal(runAtOnce(readingKept(text, null)), null, 'its line has no answer');
  for (const other of ['', 'null', '{}', text.replace('"v":1', '"v":2'), text.slice(1)]) {
    assert.equal(runAtOnce(readingKept(other, { status: 200, requestId: null, body: {} })), null);
  }
  assert.equal(runAtOnce(readingDelivered('{"response":null}')), null);
});
