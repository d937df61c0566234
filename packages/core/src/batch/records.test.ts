import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { rulesOf, threeStageRules } from '../../../../test/support/jobs.ts';
import { NO_COUNTS, STAGE_COUNTERS, stageCounter } from '../accounting/counts.ts';
import { Waits } from '../accounting/waits.ts';
import { endedBatch } from './batch-object.ts';
import {
  cascadeRulesRecord,
  KEYS,
  RECORD_VERSION,
  RECORDS,
  type EndingRecord,
  type FileRecord,
  type FinalRecord,
  type Manifest,
  type Validated,
} from './records.ts';

const rules = threeStageRules({
  signal: { name: 'margin', over: 'min' },
  acceptAt: [0.95, 0],
  limits: [{ contextTokens: 8_000, images: false }],
  prices: [{ input: 0.05, output: 0.2 }, null, { input: 1, cached_input: 0.25, output: 4 }],
  shadow: true,
  onDeadline: 'draft',
  annotate: false,
});

const manifest: Manifest = {
  v: RECORD_VERSION,
  id: 'batch_1',
  tenant: 'default',
  inputFileId: 'file-1',
  endpoint: '/v1/chat/completions',
  completionWindow: '24h',
  metadata: { 'spillway.shadow': 'true' },
  outputExpiresAfterSeconds: null,
  createdAtMs: 0,
  expiresAtMs: 1,
  requestDigest: '',
  cascades: cascadeRulesRecord.parse({ contracts: rules, invoices: rulesOf() }),
};

const validated: Validated = {
  v: RECORD_VERSION,
  validatedAtMs: 5,
  total: 300,
  cascades: ['contracts'],
  pages: [
    { first: 0, documents: 256, offset: 3, bytes: 2_000, lineBefore: 1 },
    { first: 256, documents: 44, offset: 2_003, bytes: 500, lineBefore: 258 },
  ],
};

const ending: EndingRecord = {
  v: RECORD_VERSION,
  outcome: 'failed',
  endedAtMs: 9,
  errors: [{ code: 'invalid_url', message: 'm', param: 'url', line: 3 }],
};

/** The sums of a batch of three stages. */
const counts = {
  ...NO_COUNTS,
  completed: 7,
  ...Object.fromEntries(
    [0, 1, 2].flatMap((at) => STAGE_COUNTERS.map((one) => [stageCounter('contracts', at, one), at])),
  ),
};

const waits = (() => {
  const all = new Waits();
  const one = { queueMs: 1, callMs: 2.5, handOffMs: 0.1 };
  all.add({ cascade: 'contracts', times: { stages: [one, null, one], sequentialMs: 4, totalMs: 9 } });
  return all.write();
})();

const final: FinalRecord = {
  v: RECORD_VERSION,
  outcome: 'completed',
  total: 300,
  model: 'contracts',
  counts,
  ...waits,
  inProgressAtMs: null,
  closedAtMs: 10,
  endedAtMs: 11,
  errors: [],
  pages: [
    [100, 0],
    [0, 50],
  ],
  outputFileId: 'file-2',
  errorFileId: null,
};

const file: FileRecord = {
  v: RECORD_VERSION,
  id: 'file-1',
  tenant: 'default',
  filename: 'a.jsonl',
  purpose: 'batch_output',
  bytes: 10,
  createdAtMs: 0,
  expiresAtMs: null,
  source: { kind: 'batch', batch: 'batch_1', part: 'error' },
};

const tombstone = { v: RECORD_VERSION, deletedAtMs: 1 } as const;
const atRisk = { v: RECORD_VERSION, atMs: 1 } as const;
const promiseAtRisk = { v: RECORD_VERSION, atMs: 1 } as const;
const audited = { document: 7, cascade: 'contracts', outcome: 'disagreed', inputTokens: 3, outputTokens: 2 } as const;
const audit = { v: RECORD_VERSION, atMs: 1, entries: [{ ...audited, nanoUsd: 5 }], alarms: ['contracts'] };
const redecision = { v: RECORD_VERSION, atMs: 1 } as const;
const control = { v: RECORD_VERSION, paused: true, priority: 'high', atMs: 1 } as const;
const review = { v: RECORD_VERSION, customId: 'a', verdict: 'corrected', answer: '7', atMs: 1 } as const;
const hookDone = { v: RECORD_VERSION, outcome: 'given_up', atMs: 1 } as const;
const format = { v: RECORD_VERSION };
const calibration = {
  v: RECORD_VERSION,
  calibratedAtMs: 1,
  cascades: {
    invoices: {
      aim: { kind: 'promise', agreement: 0.95, certainty: 0.95, otherwise: 'expert' },
      population: 9_500,
      n: 483,
      outcome: 'certified',
      stages: [{ acceptAt: 0.81, allowed: 17, disagreements: 12, bound: 0.0498 }],
      expertShare: 0.31,
    },
  },
};
const told = { review, control, atRisk, promiseAtRisk, hookDone };
const all = { redecision, format, file, tombstone, manifest, validated, calibration, ending, final, audit, ...told };
type Name = keyof typeof RECORDS;

/** A record as it is written to storage and read again. */
const written = (name: Name, record: unknown): unknown =>
  JSON.parse(JSON.stringify(z.encode(RECORDS[name], record as never)));

for (const name of Object.keys(RECORDS) as Name[]) {
  test(`a record of ${name} is read back as it was written`, () => {
    assert.deepEqual(RECORDS[name].parse(written(name, all[name])), all[name]);
  });

  test(`a record of ${name} that another version wrote is not read as if it were this one’s`, () => {
    if (name === 'format') return;
    for (const v of [1, RECORD_VERSION + 1, '2', undefined]) {
      const other: object = { ...(written(name, all[name]) as object), v };
      assert.equal(RECORDS[name].safeParse(other).success, false, `${v}`);
    }
  });
}

test('the version is 2, and what says so is read whatever it says', () => {
  assert.equal(RECORD_VERSION, 2);
  assert.deepEqual(RECORDS.format.parse({ v: 7 }), { v: 7 });
});

test('the plan of a page is five numbers where it is written', () => {
  const { pages } = written('validated', validated) as { pages: unknown };
  assert.deepEqual(pages, [
    [0, 256, 3, 2_000, 1],
    [256, 44, 2_003, 500, 258],
  ]);
});

test('rules are read back whole, and a signal or a way to ask that nobody knows is refused', () => {
  const judgedBy = (confidence: object, more: object = {}) => {
    const [first, ...others] = rules.stages;
    return { ...rules, stages: [{ ...first, judge: { confidence, acceptAt: 0.9, ...more } }, ...others] };
  };
  const signal = { name: 'margin', over: 'min' };
  const calibrated = judgedBy({ signal, calibration: { method: 'platt', a: 1, b: 0 } });
  assert.deepEqual(cascadeRulesRecord.parse({ a: calibrated })['a'], calibrated, 'as the version before wrote them');
  const formats = { formats: ['json_schema', 'text'] };
  const said = judgedBy({ signal, calibration: { method: 'platt', a: 1, b: 0 } }, formats);
  assert.deepEqual(cascadeRulesRecord.parse({ a: said })['a'], said);
  for (const wrong of [
    { signal: { name: 'guess' }, calibration: null },
    { signal, calibration: { method: 'guess' } },
    { signal },
  ]) {
    assert.equal(cascadeRulesRecord.safeParse({ a: judgedBy(wrong) }).success, false, JSON.stringify(wrong));
  }
  const asked = { ...rules, stages: rules.stages.map((one) => ({ ...one, ask: 'guess' })) };
  assert.equal(cascadeRulesRecord.safeParse({ a: asked }).success, false);
  assert.equal(cascadeRulesRecord.safeParse({ a: { ...rules, stages: rules.stages.slice(2) } }).success, false);
});

test('rules of the first version, with two tiers instead of stages, are no rules', () => {
  const old = {
    drafter: 'small',
    expert: 'large',
    confidence: { signal: { name: 'margin', over: 'min' }, calibration: null },
    both: true,
    limits: { contextTokens: 8_000, images: false, tools: true },
    acceptAt: 0.9,
    onDeadline: 'error',
    annotate: true,
    draftPrice: null,
    expertPrice: null,
  };
  assert.equal(cascadeRulesRecord.safeParse({ a: old }).success, false);
});

test('what an older record of this version leaves out is as if nothing had been there', () => {
  const whole = { ...final, reasons: { 'error/400': 1 }, said: { 'error/400': 'no' }, warnings: [] };
  assert.deepEqual(RECORDS.final.parse(written('final', whole)), whole);
  const {
    waits: _waits,
    reasons: _reasons,
    said: _said,
    warnings: _,
    ...rest
  } = written('final', whole) as Record<string, unknown>;
  assert.deepEqual(RECORDS.final.parse(rest).waits, {});
  const { spillway } = endedBatch(manifest, RECORDS.final.parse(rest));
  assert.deepEqual([spillway.failures, spillway.warnings], [[], []]);
  const { errors: _errors, ...bare } = written('ending', ending) as Record<string, unknown>;
  assert.deepEqual(RECORDS.ending.parse(bare).errors, []);
});

test('pages of a batch sort by their number', () => {
  fc.assert(
    fc.property(fc.nat(9_999_999), fc.nat(9_999_999), (one, other) => {
      assert.equal(KEYS.page('b', one) < KEYS.page('b', other), one < other);
    }),
  );
});
