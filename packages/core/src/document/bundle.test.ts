import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BUNDLE_VERSION, bundleSize, jobDataOf, MAX_BUNDLE, MAX_HELD_MS, readJob, type BundleLoad } from './bundle.ts';
import { JOB_VERSION, newJob, type DocumentJob } from './job.ts';

const documentOf = (document: number): DocumentJob =>
  newJob({
    batch: 'b',
    document,
    page: 0,
    place: document,
    customId: `doc-${document}`,
    cascade: 'test',
    endpoint: '/v1/chat/completions',
    body: {},
    sampled: false,
    enqueuedAtMs: 1,
    deadlineMs: 2,
  });

const load: BundleLoad = {
  waiting: 10_000,
  slotsPerWorker: 16,
  slots: 32,
  secondsPerDocument: 0.01,
  bytesPerDocument: 600,
};

test('a document by itself is written as the version before reads it, and several as it leaves to newer ones', () => {
  const [one, two] = [documentOf(0), documentOf(1)];
  assert.deepEqual(jobDataOf([one]), one);
  assert.equal(one.v, JOB_VERSION);
  assert.deepEqual(readJob(one), { kind: 'document', documents: [one] });
  const bundle = jobDataOf([one, two]);
  assert.ok(bundle.v === BUNDLE_VERSION && BUNDLE_VERSION > JOB_VERSION);
  assert.deepEqual(readJob(bundle), { kind: 'bundle', documents: [one, two] });
  assert.throws(() => jobDataOf([]));
});

test('what another version wrote, or what is left of a job, is nothing to work on', () => {
  assert.deepEqual(readJob({ ...documentOf(0), v: JOB_VERSION - 1 }), { kind: 'older' });
  assert.deepEqual(readJob({}), { kind: 'older' });
  assert.deepEqual(readJob({ v: BUNDLE_VERSION }), { kind: 'older' });
  assert.deepEqual(readJob({ v: BUNDLE_VERSION + 1 }), { kind: 'newer' });
});

test('the size of bundles: full ones for quick calls and much work, one document at the tail and for slow calls', () => {
  assert.equal(bundleSize({ ...load, slotsPerWorker: 256, slots: 128 }), MAX_BUNDLE);
  assert.equal(bundleSize({ ...load, slotsPerWorker: 48 }), 48, 'no more than it begins at once');
  assert.equal(bundleSize(load), 16);
  assert.equal(bundleSize({ ...load, slotsPerWorker: 4 }), 16, 'of quick calls as many as have one soon');
  assert.equal(bundleSize({ ...load, waiting: 20, slots: 8, slotsPerWorker: 4 }), 2);
  assert.equal(bundleSize({ ...load, waiting: 31 }), 1);
  // 16 calls of two seconds end two in a quarter of a second.
  assert.equal(bundleSize({ ...load, secondsPerDocument: 2 }), 2);
  assert.equal(bundleSize({ ...load, secondsPerDocument: 30 }), 1);
  assert.equal(bundleSize({ ...load, bytesPerDocument: 20_000 }), 3);
  assert.equal(bundleSize({ ...load, bytesPerDocument: 4 * 2 ** 20 }), 1);
  assert.equal(bundleSize({ ...load, secondsPerDocument: null }), 4, 'nobody knows how long calls take: a second');
  assert.equal(bundleSize({ ...load, slots: 0, slotsPerWorker: 0 }), 1, 'there is no worker yet');
  assert.equal(bundleSize({ ...load, secondsPerDocument: 0 }), 16);
});

test('a bundle is never more than what waits for a slot, nor than a worker takes up in a moment, nor empty', () => {
  const loads = fc.record({
    waiting: fc.nat(100_000),
    slotsPerWorker: fc.integer({ min: 1, max: 512 }),
    workers: fc.integer({ min: 1, max: 64 }),
    secondsPerDocument: fc.double({ min: 0, max: 600, noNaN: true }),
    bytesPerDocument: fc.nat(4 * 2 ** 20),
  });
  fc.assert(
    fc.property(loads, ({ workers, ...given }) => {
      const slots = given.slotsPerWorker * workers;
      const size = bundleSize({ ...given, slots });
      assert.ok(Number.isInteger(size) && size >= 1 && size <= MAX_BUNDLE);
      if (size === 1) return;
      assert.ok(size * slots <= given.waiting);
      assert.ok((size * given.secondsPerDocument) / given.slotsPerWorker <= MAX_HELD_MS / 1_000 + 1e-9);
    }),
  );
});
