import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calibrateCascade, type DrawnDocument } from '../batch/calibrate.ts';
import { seededRandom } from '../calibration/measures.ts';
import { planAim, type Aim } from '../promise/index.ts';
import { runAtOnce } from '../text/slices.ts';
import { rulesOf } from '../../../../test/support/jobs.ts';
import { estimatingAim } from './aim.ts';

const PROMISES = [0.8, 0.9, 0.95].map((agreement): Aim => ({
  kind: 'promise',
  agreement,
  certainty: 0.95,
  otherwise: 'expert',
}));

/** Documents whose drafts agree the more often the surer they are; `skill`: how much more often. */
function worldOf(random: () => number, documents: number): DrawnDocument[] {
  const [skill, ease, unjudged] = [2 + 8 * random(), -1 + 3 * random(), random() < 0.3 ? 0.1 * random() : 0];
  return Array.from({ length: documents }, () => {
    const confidence = random();
    const agrees = random() < 1 / (1 + Math.exp(-(ease + skill * (confidence - 0.4))));
    const isJudged = random() >= unjudged;
    return { judged: [{ confidence: isJudged ? confidence : null, agrees, wrongAt: null }], delivered: 1 };
  });
}

/** The share of the documents that the expert gets, as the batch itself comes to it. */
function finalShare(all: readonly DrawnDocument[], aim: Aim, random: () => number): number {
  const rules = rulesOf({ aim });
  const plan = planAim(aim, 1, all.length);
  const n = plan.kind === 'sampled' ? plan.n : 0;
  const order = all.map((one) => ({ one, at: random() })).toSorted((left, right) => left.at - right.at);
  const [sampled, rest] = [order.slice(0, n).map(({ one }) => one), order.slice(n).map(({ one }) => one)];
  const { stages, expertOnly } = calibrateCascade({ rules, population: all.length, drawn: sampled });
  const acceptAt = stages[0]?.acceptAt ?? 2;
  const escalated =
    expertOnly === true ? rest.length : rest.filter(({ judged }) => (judged?.[0]?.confidence ?? -1) < acceptAt).length;
  return (n + escalated) / all.length;
}

test('nine in ten batches with a promise come to what their pilot said', (context) => {
  const random = seededRandom(20_261_128);
  const held: Record<string, boolean[]> = {};
  const widths: number[] = [];
  for (let run = 0; run < 180; run += 1) {
    const documents = [300, 1_000, 4_000][run % 3] ?? 0;
    const size = [40, 80, 200][Math.floor(run / 3) % 3] ?? 0;
    const aim = PROMISES[Math.floor(run / 9) % 3] ?? assert.fail();
    const all = worldOf(random, documents);
    const pilot = Array.from({ length: size }, () => ({
      weight: 1,
      drawn: all[Math.floor(random() * all.length)] ?? assert.fail(),
    }));
    const estimate = runAtOnce(estimatingAim(pilot, { rules: rulesOf({ aim }), documents, key: `${run}` }));
    const { low = 0, high = 0 } = estimate.reach[1] ?? {};
    const final = finalShare(all, aim, random);
    for (const kind of ['all', `pilots of ${size}`, `batches of ${documents}`]) {
      (held[kind] ??= []).push(final >= low - 1e-9 && final <= high + 1e-9);
    }
    widths.push(high - low);
  }
  for (const [kind, all] of Object.entries(held)) {
    const share = all.filter(Boolean).length / all.length;
    context.diagnostic(`${kind}: ${(100 * share).toFixed(1)} % of ${all.length}`);
    assert.ok(share >= 0.85, `${kind}: ${share}`);
  }
  const median = widths.toSorted((left, right) => left - right)[Math.floor(widths.length / 2)] ?? 1;
  context.diagnostic(`median width ${median.toFixed(2)}`);
});
