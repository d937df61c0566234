import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../calibration/index.ts';
import { audited, rateBounds, startAudit, type Audit } from './audit.ts';

const terms = { mayDisagree: 0.05, delta: 0.05 };

/** After how many audits it alarms; null: not within so many. */
function alarmOf(rateAt: (audit: number) => number, random: () => number, most: number): number | null {
  let audit = startAudit();
  while (audit.audits < most && audit.alarmAt === null) {
    audit = audited(terms, audit, random() >= rateAt(audit.audits + 1));
  }
  return audit.alarmAt;
}

const median = (values: readonly (number | null)[]): number =>
  values.map((value) => value ?? Number.POSITIVE_INFINITY).toSorted((left, right) => left - right)[
    Math.floor(values.length / 2)
  ] ?? Number.NaN;

test('at twice the rate that may be the alarm comes after about 115 to 130 audits in the median', () => {
  const random = seededRandom(1);
  const doubled = median(Array.from({ length: 1_500 }, () => alarmOf(() => 0.1, random, 5_000)));
  assert.ok(doubled >= 105 && doubled <= 140, String(doubled));
  const tripled = median(Array.from({ length: 500 }, () => alarmOf(() => 0.15, random, 5_000)));
  assert.ok(tripled <= 60, String(tripled));
});

test('a rate that rises late is seen, too', () => {
  const random = seededRandom(2);
  const late = Array.from({ length: 200 }, () => alarmOf((at) => (at <= 1_000 ? 0.02 : 0.1), random, 4_000));
  assert.ok(median(late) <= 1_600, String(median(late)));
});

test('at the rate that may be at most δ ever alarm', () => {
  const random = seededRandom(3);
  const runs = 600;
  const alarms = Array.from({ length: runs }, () => alarmOf(() => 0.05, random, 4_000)).filter((at) => at !== null);
  assert.ok(alarms.length / runs <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / runs), `${alarms.length} of ${runs}`);
  // Also where the rate comes and goes, and each audit keeps to it.
  const wavy = Array.from({ length: runs }, () => alarmOf((at) => (at % 20 < 10 ? 0.05 : 0.01), random, 2_000));
  assert.ok(wavy.filter((at) => at !== null).length / runs <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / runs));
});

test('no step gains anything in expectation while the rate may be', () => {
  const rate = fc.double({ min: 0.001, max: 0.999, noNaN: true });
  fc.assert(
    fc.property(rate, rate, fc.array(fc.boolean(), { maxLength: 60 }), (mayDisagree, share, answers) => {
      const some = { mayDisagree, delta: 1e-9 };
      const audit = answers.reduce((before, agrees) => audited(some, before, agrees), startAudit());
      if (audit.alarmAt !== null) return;
      const p = share * mayDisagree;
      const expected = p * audited(some, audit, false).evidence + (1 - p) * audited(some, audit, true).evidence;
      assert.ok(expected <= audit.evidence * (1 + 1e-9), `${expected} after ${audit.evidence}`);
    }),
  );
});

test('an alarm stays, counts go on, and everything is plain JSON', () => {
  let audit: Audit = startAudit();
  for (let at = 0; at < 20; at += 1) audit = audited(terms, audit, false);
  const first = audit.alarmAt;
  assert.ok(first !== null && first <= 10);
  for (let at = 0; at < 500; at += 1) audit = audited(terms, audit, true);
  assert.equal(audit.alarmAt, first);
  assert.equal(audit.audits, 520);
  assert.equal(audit.disagreements, 20);
  assert.deepEqual(JSON.parse(JSON.stringify(audit)), audit);
});

test('rates of nothing and of everything', () => {
  assert.equal(audited({ mayDisagree: 0, delta: 0.05 }, startAudit(), false).alarmAt, 1);
  let [none, all] = [startAudit(), startAudit()];
  for (let at = 0; at < 200; at += 1) {
    none = audited({ mayDisagree: 0, delta: 0.05 }, none, true);
    all = audited({ mayDisagree: 1, delta: 0.05 }, all, false);
  }
  assert.equal(none.alarmAt, null);
  assert.equal(all.alarmAt, null);
  assert.throws(() => audited({ mayDisagree: 2, delta: 0.05 }, none, true), RangeError);
  assert.throws(() => audited({ mayDisagree: 0.1, delta: 0 }, none, true), RangeError);
});

test('the bounds of the rate hold after every audit', () => {
  const random = seededRandom(4);
  const [runs, rate] = [400, 0.08];
  let missed = 0;
  for (let run = 0; run < runs; run += 1) {
    let disagreements = 0;
    for (let audits = 1; audits <= 600; audits += 1) {
      disagreements += Number(random() < rate);
      if (audits % 5 !== 0) continue;
      const { low, high } = rateBounds({ audits, disagreements }, 0.05);
      if (low <= rate && rate <= high) continue;
      missed += 1;
      break;
    }
  }
  assert.ok(missed / runs <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / runs), `${missed} of ${runs}`);
  assert.deepEqual(rateBounds({ audits: 0, disagreements: 0 }, 0.05), { low: 0, high: 1 });
  const { low, high } = rateBounds({ audits: 1_000, disagreements: 50 }, 0.05);
  assert.ok(low > 0.025 && low < 0.04 && high > 0.06 && high < 0.085, `${low} ${high}`);
  assert.equal(rateBounds({ audits: 10, disagreements: 10 }, 0.05).high, 1);
});
