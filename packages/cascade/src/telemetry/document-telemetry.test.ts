import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDraft, type CascadeDocument, type Draft, type FormatKind, type JsonObject } from '@spillway/core';
import { EnvReader, openLog, openTelemetry } from '@spillway/runtime';
import { acceptedDraftOf, answerOf, draftOf, failedDraftOf, jobOf, rulesOf } from '../../../../test/support/jobs.ts';
import { attemptLine } from './attempt-line.ts';
import { DocumentTelemetry } from './document-telemetry.ts';

const JSON_BODY: JsonObject = { response_format: { type: 'json_object' } };
const TOLD = 'the calibration was made with other response formats';

/** A document of a cascade whose first stage has a calibration that was made with answers of these kinds. */
function documentOf(batch: string, body: JsonObject, formats?: readonly FormatKind[]): CascadeDocument {
  const rules = rulesOf();
  const [first, last] = rules.stages;
  assert.ok(first?.judge != null && last !== undefined);
  const confidence = { ...first.judge.confidence, calibration: { method: 'platt', a: 1, b: 0 } } as const;
  const judge = { ...first.judge, confidence, ...(formats === undefined ? {} : { formats }) };
  return { job: jobOf({ batch, body }), rules: { ...rules, stages: [{ ...first, judge }, last] } };
}

const escalated = ({ job }: CascadeDocument, draft: Draft = draftOf()) =>
  ({ kind: 'escalate', job: withDraft(job, draft) }) as const;
const accepted = () => ({ kind: 'settle', ending: { kind: 'accepted', draft: acceptedDraftOf() } }) as const;

test('a calibration of other answers is told once for a batch and a stage, and never where all is well', async () => {
  const lines: Record<string, unknown>[] = [];
  const log = openLog('test', 'warn', { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  await using telemetry = await openTelemetry('test', new EnvReader({}), log);
  const documents = new DocumentTelemetry(
    { log, telemetry },
    { configuration: { models: {} }, loggedShare: 0, takeTrace: () => Promise.resolve(false) },
  );
  const told = () =>
    lines.map(({ batch, cascade, stage, tier, ...line }) => [batch, cascade, stage, tier, line['msg']]);
  for (const well of [
    documentOf('a', {}, ['text']),
    documentOf('a', JSON_BODY, ['json_object', 'text']),
    documentOf('a', JSON_BODY),
    { job: jobOf({ batch: 'a', body: JSON_BODY }), rules: rulesOf() },
    { ...documentOf('a', JSON_BODY, ['text']), job: jobOf({ batch: 'a', body: JSON_BODY, stage: 1 }) },
  ]) {
    documents.judged(well, accepted());
    documents.judged(well, escalated(well));
  }
  const other = documentOf('a', JSON_BODY, ['text']);
  documents.judged(other, escalated(other, failedDraftOf()));
  documents.judged(other, { kind: 'stopped', reason: 'shutdown' });
  assert.deepEqual(told(), [], 'what was not judged is not told of');

  for (let times = 0; times < 3; times += 1) {
    documents.judged(other, accepted());
    documents.judged(other, escalated(other));
  }
  const warning = ['a', 'test', 1, 'drafter.small', TOLD];
  assert.deepEqual(told(), [warning]);
  assert.deepEqual([lines[0]?.['response_format'], lines[0]?.['made_with']], ['json_object', ['text']]);
  const next = documentOf('b', JSON_BODY, ['text']);
  documents.judged(next, escalated(next));
  assert.deepEqual(told(), [warning, ['b', ...warning.slice(1)]]);
});

test('a verdict is told of as a judgement: its confidence, and whether that is calibrated for such answers', async () => {
  const confidence = { signal: { name: 'self_assessment' }, calibration: { method: 'platt', a: 1, b: 0 } } as const;
  const { stages, ...others } = rulesOf();
  const [first, last] = stages;
  assert.ok(first !== undefined && last !== undefined);
  const verdict = { confidence, acceptAt: 0.9, formats: ['text'] } as const;
  const rules = { ...others, stages: [first, { ...last, ask: 'verdict', verdict }] } as const;
  const document: CascadeDocument = { job: jobOf({ body: JSON_BODY, stage: 1, drafts: [draftOf()] }), rules };
  const span = { startedAtMs: 1, endedAtMs: 2 };
  const instead = { inputTokens: 1, outputTokens: 1, ms: null };
  const how = { kind: 'verdict', stage: 0, score: 0.95, confidence: 0.93, instead } as const;
  const usage = { inputTokens: 9, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const final = { kind: 'settle', ending: { kind: 'confirmed', how, usage, extra: [], ...span } } as const;
  const refused = { kind: 'settle', ending: { kind: 'answered', answer: answerOf(), how, ...span } } as const;
  const said = [final, refused].map((outcome) => attemptLine(document, outcome, true));
  assert.deepEqual(
    said.map((line) => [line?.decision, line?.confidence, line?.calibrated, line?.status]),
    [
      ['accepted', 0.93, false, 200],
      ['answered', 0.93, false, 200],
    ],
  );
  const lines: unknown[] = [];
  const log = openLog('test', 'warn', { write: (line) => void lines.push(line) });
  await using telemetry = await openTelemetry('test', new EnvReader({}), log);
  const settings = { configuration: { models: {} }, loggedShare: 0, takeTrace: () => Promise.resolve(false) };
  const documents = new DocumentTelemetry({ log, telemetry }, settings);
  for (const outcome of [final, refused]) documents.judged(document, outcome);
  assert.equal(lines.length, 1);
});

test("an attempt's line says whether the confidence is calibrated for such an answer", () => {
  const said = (document: CascadeDocument) => attemptLine(document, escalated(document), true)?.calibrated;
  assert.equal(said(documentOf('a', JSON_BODY, ['text'])), false);
  assert.equal(said(documentOf('a', JSON_BODY, ['json_object'])), true);
  assert.equal(said(documentOf('a', JSON_BODY)), true);
  assert.equal(said(documentOf('a', {}, ['text'])), true);
});
