import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../calibration/index.ts';
import { allowedDisagreements, type Terms } from './allowed.ts';
import { certifyAccuracy, certifyAgreement, nextAbove, type Certification, type LabelledDocument } from './certify.ts';

type Document = { readonly score: number | null; readonly agrees: boolean };

const rows = (count: number, score: number | null, agrees: boolean): Document[] =>
  Array.from({ length: count }, () => ({ score, agrees }));

const terms = { target: 0.95, delta: 0.05, populationSize: 9_500 };

test('the threshold accepts the longest prefix with as many disagreements as are allowed', () => {
  // 17 of 500 are allowed: the 18th disagreement, at .5, ends it.
  const sample = [...rows(300, 0.9, true), ...rows(17, 0.8, false), ...rows(1, 0.5, false), ...rows(182, 0.4, true)];
  const found = certifyAgreement(terms, sample);
  assert.ok(found.kind === 'certified');
  const { acceptAt, bound, ...rest } = found.certificate;
  assert.deepEqual(rest, { ...terms, promised: 'agreement', n: 500, allowed: 17, disagreements: 17 });
  assert.equal(acceptAt, nextAbove(0.5));
  assert.ok(bound > 0.045 && bound <= 0.05, String(bound));
});

test('ties are accepted together or not at all', () => {
  const sample = [...rows(200, 0.9, true), ...rows(10, 0.8, false), ...rows(8, 0.7, false), ...rows(282, 0.7, true)];
  const found = certifyAgreement(terms, sample);
  assert.ok(found.kind === 'certified' && found.certificate.acceptAt === nextAbove(0.7));
  assert.equal(found.certificate.disagreements, 10);
});

test('all scores equal: everything or nothing', () => {
  const one = certifyAgreement(terms, [...rows(483, 0.9, true), ...rows(17, 0.9, false)]);
  assert.ok(one.kind === 'certified' && one.certificate.acceptAt === null, 'every draft that can be judged');
  const more = certifyAgreement(terms, [...rows(482, 0.9, true), ...rows(18, 0.9, false)]);
  assert.deepEqual(more, { kind: 'not_certified', reason: 'disagreements', n: 500, allowed: 17, disagreements: 18 });
});

test('what cannot be judged is never accepted, and counts in the sample', () => {
  const sample = [...rows(100, 0.9, true), ...rows(200, null, false), ...rows(200, Number.NaN, false)];
  const found = certifyAgreement(terms, sample);
  assert.ok(found.kind === 'certified' && found.certificate.acceptAt === null);
  assert.equal(found.certificate.disagreements, 0);
  assert.deepEqual(certifyAgreement(terms, rows(500, null, true)), {
    kind: 'not_certified',
    reason: 'no_evidence',
    n: 500,
  });
});

test('a sample that is too small says how many would do', () => {
  for (const n of [0, 1, 58]) {
    const found = certifyAgreement(terms, rows(n, 1, true));
    assert.deepEqual(found, { kind: 'not_certified', reason: 'sample_too_small', n, needed: 59 });
  }
  assert.equal(certifyAgreement(terms, rows(59, 1, true)).kind, 'certified');
  assert.throws(() => certifyAgreement({ ...terms, populationSize: 10 }, rows(11, 1, true)), RangeError);
  const empty = certifyAgreement({ ...terms, populationSize: 0 }, []);
  assert.equal(empty.kind, 'certified', 'of no documents none is wrong');
});

test('a certificate is plain JSON', () => {
  const found = certifyAgreement(terms, [...rows(400, 0.9, true), ...rows(100, 0.3, false)]);
  assert.deepEqual(JSON.parse(JSON.stringify(found)), found);
});

test('accuracy counts the mistakes of the expert whatever is accepted', () => {
  const row = (score: number, draftRight: boolean, expertRight: boolean): LabelledDocument => ({
    score,
    draftRight,
    expertRight,
  });
  const made = (count: number, one: LabelledDocument): LabelledDocument[] => Array.from({ length: count }, () => one);
  const sample = [
    ...made(400, row(0.9, true, true)),
    ...made(6, row(0.9, true, false)),
    ...made(4, row(0.9, false, false)),
    ...made(6, row(0.8, false, true)),
    ...made(1, row(0.3, false, true)),
    ...made(83, row(0.2, true, true)),
  ];
  const found = certifyAccuracy(terms, sample);
  assert.ok(found.kind === 'certified');
  assert.equal(found.certificate.allowed, 16);
  assert.equal(found.certificate.disagreements, 16);
  assert.equal(found.certificate.acceptAt, nextAbove(0.3));
  const poor = certifyAccuracy(terms, [...made(480, row(0.9, true, true)), ...made(20, row(0.9, true, false))]);
  assert.deepEqual(poor, {
    kind: 'not_certified',
    reason: 'expert_below_target',
    n: 500,
    allowed: 16,
    disagreements: 20,
  });
});

test('the next double is the next', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double({ noNaN: true }), (value, other) => {
      const next = nextAbove(value);
      assert.ok(next > value);
      assert.ok(other <= value || other >= next);
    }),
  );
});

const isAccepted = (found: Certification, score: number | null): boolean =>
  found.kind === 'certified' &&
  score !== null &&
  (found.certificate.acceptAt === null || score >= found.certificate.acceptAt);

/** Every way to draw n of some, as sets of places. */
function* draws(size: number, n: number, from = 0): Generator<number[]> {
  if (n === 0) yield [];
  else {
    for (let first = from; first + n <= size; first += 1) {
      for (const rest of draws(size, n - 1, first + 1)) yield [first, ...rest];
    }
  }
}

/** The exact share of all draws by which a promise is broken. */
function brokenShare<Row extends { readonly score: number | null }>(
  all: readonly Row[],
  n: number,
  certify: (sample: readonly Row[]) => Certification,
  wrongOf: (row: Row, accepted: boolean, sampled: boolean) => boolean,
  mayBeWrong: number,
): number {
  let [drawn, broken] = [0, 0];
  for (const places of draws(all.length, n)) {
    const sampled = new Set(places);
    const found = certify(places.map((at) => all[at] as Row));
    const wrong = all.filter((row, at) => wrongOf(row, isAccepted(found, row.score), sampled.has(at))).length;
    drawn += 1;
    if (found.kind === 'certified' && wrong > mayBeWrong) broken += 1;
  }
  return broken / drawn;
}

const score = fc.constantFrom(null, 0.2, 0.4, 0.6, 0.6000001, 0.8);
const small = fc.integer({ min: 2, max: 10 }).chain((size) =>
  fc.record({
    documents: fc.array(fc.record({ score, agrees: fc.boolean(), expertRight: fc.boolean() }), {
      minLength: size,
      maxLength: size,
    }),
    n: fc.integer({ min: 0, max: size }),
    wrong: fc.integer({ min: 0, max: size }),
    delta: fc.double({ min: 0.02, max: 0.6, noNaN: true }),
  }),
);

test('of all samples that can be drawn at most δ break the promise, whatever the documents are', () => {
  fc.assert(
    fc.property(small, ({ documents, n, wrong, delta }) => {
      const all: Terms = { target: 1 - wrong / documents.length, delta, populationSize: documents.length };
      const agreement = brokenShare(
        documents,
        n,
        (sample) => certifyAgreement(all, sample),
        ({ agrees }, accepted, sampled) => accepted && !sampled && !agrees,
        wrong,
      );
      assert.ok(agreement <= delta + 1e-12, `agreement: ${agreement} of ${delta}`);
      const accuracy = brokenShare(
        documents.map(({ agrees, ...row }) => ({ ...row, draftRight: agrees })),
        n,
        (sample) => certifyAccuracy(all, sample),
        ({ draftRight, expertRight }, accepted, sampled) => (accepted && !sampled ? !draftRight : !expertRight),
        wrong,
      );
      assert.ok(accuracy <= delta + 1e-12, `accuracy: ${accuracy} of ${delta}`);
    }),
    { numRuns: 400 },
  );
});

test('one more would be too many: there are documents that break the promise more often than δ', () => {
  // As many disagreements as the proof's prefix has, at the top: K itself keeps to δ, K + 1 does not.
  const all = { target: 0.8, delta: 0.1, populationSize: 20 };
  const n = 12;
  const allowed = allowedDisagreements(all, n);
  const [wrong, size] = [4, 20];
  const brokenBy = (k: number): number => {
    let [drawn, broken] = [0, 0];
    const marked = wrong + 1 + k;
    for (const places of draws(size, n)) {
      const found = places.filter((at) => at < marked).length;
      drawn += 1;
      if (found <= k && marked - found > wrong) broken += 1;
    }
    return broken / drawn;
  };
  assert.ok(allowed >= 1, String(allowed));
  assert.ok(brokenBy(allowed) <= all.delta && brokenBy(allowed + 1) > all.delta);
});

test('in a large batch with ties and a known share of disagreements the promise is kept', () => {
  const random = seededRandom(7);
  const documents = Array.from({ length: 2_000 }, () => {
    const sure = Math.round(random() * 50) / 50;
    return { score: sure, agrees: random() < 0.6 + 0.4 * sure };
  });
  const batch = { target: 0.95, delta: 0.05, populationSize: documents.length };
  const [batches, n] = [1_500, 213];
  let broken = 0;
  for (let at = 0; at < batches; at += 1) {
    const places = documents.map((_, place) => place);
    for (let place = 0; place < n; place += 1) {
      const other = place + Math.floor(random() * (places.length - place));
      [places[place], places[other]] = [places[other] as number, places[place] as number];
    }
    const sampled = new Set(places.slice(0, n));
    const found = certifyAgreement(
      batch,
      places.slice(0, n).map((place) => documents[place] as Document),
    );
    const wrong = documents.filter(
      (one, place) => !one.agrees && !sampled.has(place) && isAccepted(found, one.score),
    ).length;
    broken += Number(wrong > 100);
  }
  // Three standard deviations of a share of .05 in 1,500.
  assert.ok(broken / batches <= 0.05 + 3 * Math.sqrt((0.05 * 0.95) / batches), `${broken} of ${batches}`);
});
