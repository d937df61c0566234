import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isAuditDrawn, KEYS, RECORDS, type BatchObject } from '@spillway/core';
import { openStorage, readRecord, type Storage } from '@spillway/storage';
import { Receiver } from '../support/receiver.ts';
import { System, until, type ResultLine } from '../support/system.ts';

const MODELS = 'drafter: small, expert: large, accept_at: 0.8';
const CASCADES = `  watched: { ${MODELS}, audit: { share: 1, at_most: 0.05 } }
  strict: { ${MODELS}, audit: { share: 0.25, at_most: 0.05, on_alarm: tighten } }`;

/** The drafter is as sure as ever, and says something else than the expert. */
const WRONG = '[[drafter json]]';
const SHARE = 0.25;

let receiver: Receiver;
let system: System;
let storage: Storage;

before(async () => {
  receiver = new Receiver();
  const url = await receiver.listen();
  system = await System.start({
    moreCascades: CASCADES,
    more: `webhooks:\n  all: { url: "${url}/all", secret_env: HOOK_SECRET, events: [batch.promise_at_risk] }\n`,
    env: { HOOK_SECRET: 'secret' },
    // The drafts that hang must do so until they are let go, however busy the machine is.
    models: { small: { concurrency: 4, timeout_s: 120 }, large: { concurrency: 8 } },
  });
  storage = await openStorage(`file://${system.directory}/data`);
});
after(async () => {
  await storage[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

type Shown = BatchObject['spillway']['audits'][number];

/** The audits of a batch that names one cascade, as soon as they fit; until it is validated nobody knows of any. */
async function auditsOf(id: string, fits: (audits: Shown) => boolean = () => true): Promise<Shown> {
  let audits: Shown | undefined;
  await until(async () => {
    const batch: BatchObject = await system.client.get(`/batches/${id}`);
    [audits] = batch.spillway.audits;
    return audits !== undefined && fits(audits);
  });
  assert.ok(audits !== undefined);
  assert.equal(audits.agreed + audits.disagreed, audits.done);
  assert.equal(audits.done + audits.not_done, audits.chosen);
  return audits;
}

const said = ({ response }: ResultLine): string => JSON.stringify(response?.body['choices']?.[0]?.['message'] ?? null);
const reasonOf = ({ cascade }: ResultLine): string | null => cascade?.stages[0]?.reason ?? null;

test('accepted drafts are audited, the results stay, and an alarm is told once', async () => {
  const wrong = Array.from({ length: 24 }, (_, at) => `${WRONG} question ${at}`);
  const right = Array.from({ length: 24 }, (_, at) => `question ${at}`);
  // The last one keeps the batch open.
  const open = '[[unsure]] [[expert hang]] the last one';
  const { id } = await system.submit([...wrong, ...right, open], { model: 'watched' });
  const live = await auditsOf(id, ({ done }) => done === 48);
  assert.deepEqual([live.chosen, live.agreed, live.disagreed, live.not_done, live.rate], [48, 24, 24, 0, 0.5]);
  assert.ok(live.bounds.low > 0.2 && live.bounds.high < 0.8 && live.usd > 0);
  assert.ok(live.alarm !== null && live.alarm.audits >= 3 && live.alarm.audits <= 48, JSON.stringify(live));
  await until(async () => receiver.for(id, '/all').length > 0);
  system.expertModel.release();
  const batch = await system.settled(id);
  assert.deepEqual(await auditsOf(id), live, 'what is shown stays, once the batch has ended');
  const report: { audits: unknown } = await system.client.get(`/batches/${id}/report`);
  assert.deepEqual(report.audits, [live]);
  const lines = await system.lines(batch.output_file_id);
  assert.equal(lines.length, 49);
  assert.equal(lines.filter((line) => said(line).includes('total')).length, 24, 'the drafts stay the results');
  assert.equal(lines.filter((line) => line.cascade?.stage === 1).length, 48);
  assert.equal(receiver.for(id, '/all').length, 1);
  assert.notEqual(await readRecord(storage, KEYS.promiseAtRisk(id), RECORDS.promiseAtRisk), null);
});

test('a batch does not wait for its audits, and an expert that has no answer says nothing', async () => {
  const refused = Array.from({ length: 4 }, (_, at) => `[[expert 400]] ${at}`);
  const slow = Array.from({ length: 3 }, (_, at) => `[[expert hang]] ${at}`);
  const { id } = await system.submit([...refused, ...slow, 'one'], { model: 'watched' });
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 8, completed: 8, failed: 0 });
  const { chosen, disagreed, not_done: undone, alarm } = await auditsOf(id);
  assert.deepEqual([chosen, disagreed, alarm], [8, 0, null]);
  assert.ok(undone >= 7, String(undone));
  // Nobody is asked about them any more, and nothing of them is left.
  await until(async () => (await system.redis.client.hlen('{test}:audits:expert.large')) === 0);
  system.expertModel.release();
});

test('an alarm tightens what is not settled, through a wiped Redis', async () => {
  const begun = system.drafterModel.requests.length;
  // A page that is sealed before its audits are done, then one of which four documents keep the drafter from the others.
  const first = Array.from({ length: 256 }, (_, at) => `[[expert hang]] ${at % 2 === 0 ? WRONG : ''} question ${at}`);
  const held = Array.from({ length: 4 }, (_, at) => `[[drafter hang]] held ${at}`);
  const others = Array.from({ length: 30 }, (_, at) => `${WRONG} other ${at}`);
  const { id } = await system.submit([...first, ...held, ...others], { model: 'strict' });
  const drawn = first.filter((_, document) => isAuditDrawn({ batch: id, document }, SHARE)).length;
  await system.drafterModel.waitForRequests(begun + 260);
  await until(async () => (await storage.size(KEYS.page(id, 0))) !== null);
  // Now the expert answers, one after the other.
  const known = await auditsOf(id, ({ alarm }) => {
    system.expertModel.release();
    return alarm !== null;
  });
  assert.equal(known.chosen, drawn);
  await system.redis.client.flushall();
  await system.admitted();
  system.drafterModel.release();
  system.expertModel.release();
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 290, completed: 290, failed: 0 });
  const lines = (await system.lines(batch.output_file_id)).map((line, at) => ({ ...line, at }));
  for (const line of lines.slice(0, 256)) assert.equal(line.cascade?.stage, 1, 'what was settled stays');
  for (const line of lines.slice(260)) {
    assert.deepEqual([line.cascade?.stage, reasonOf(line)], [2, 'promise_at_risk'], `document ${line.at}`);
    assert.ok(!said(line).includes('total'));
  }
  const asked = system.drafterModel.requests.filter(({ body }) => JSON.stringify(body).includes('other'));
  assert.equal(asked.length, 0, 'no drafts are asked for that would not be accepted');
  const { chosen, done, disagreed, alarm } = await auditsOf(id);
  assert.ok(chosen >= drawn && chosen <= drawn + 4, `${chosen} of ${drawn}`);
  assert.ok(done <= chosen && disagreed >= 3 && disagreed <= done);
  assert.deepEqual(alarm, known.alarm, 'an alarm that was written down stays as it is');
  // Each audited document is written down once.
  const documents: number[] = [];
  for (let n = 0; ; n += 1) {
    const record = await readRecord(storage, KEYS.audit(id, n), RECORDS.audit);
    if (record === null) break;
    documents.push(...record.entries.map(({ document }) => document));
  }
  assert.equal(new Set(documents).size, documents.length);
  assert.equal(documents.length, done);
  assert.equal(receiver.for(id, '/all').length, 1);
});
