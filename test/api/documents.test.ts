import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedSystem } from '../support/shared-system.ts';
import { System } from '../support/system.ts';
import { docIds } from '../support/whole.ts';

const shared = sharedSystem(() => System.start({ env: { JAEGER_UI_URL: 'http://jaeger.test' } }));

type Line = { readonly custom_id: string; readonly cascade: Record<string, unknown> };
type Told = { readonly searched: number; readonly of: number; readonly found: number };
type End = Told & { readonly cursor: string | null; readonly has_more: boolean; readonly complete: boolean };

/** What a search finds, in the order in which it comes, and what it says at its end. */
async function search(system: System, id: string, query: Record<string, string> = {}) {
  const path = `${system.client.baseURL}/batches/${id}/search?${new URLSearchParams(query).toString()}`;
  const response = await fetch(path);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const events = text.trimEnd().split('\n\n');
  const lines: Line[] = [];
  const cursors: string[] = [];
  let end: End | null = null;
  for (const event of events) {
    const [, cursor, name, data = ''] = /^(?:id: (\S+)\n)?event: (\S+)\ndata: (.*)$/.exec(event) ?? assert.fail(event);
    if (name === 'result') lines.push(JSON.parse(data) as Line);
    if (cursor !== undefined) cursors.push(cursor);
    if (name === 'end') end = JSON.parse(data) as End;
    else assert.ok(name === 'searched' || name === 'result', name);
  }
  return { ids: lines.map((line) => line.custom_id), lines, cursors, end: end ?? assert.fail('it has an end') };
}

const review = async (system: System, id: string, body: object) =>
  await system.client.post<Record<string, unknown>>(`/batches/${id}/reviews`, { body });

test('results are found by any condition, page by page, also in open pages', async () => {
  const system = await shared();
  const prompts = Array.from({ length: 600 }, (_, at) => `${at % 100 === 7 ? '[[unsure]] ' : ''}doc ${at}`);
  const { id } = await system.submit([...prompts, '[[hang]] last']);
  await system.settled(id, ({ request_counts: counts }) => counts?.completed === 600);
  // The last page is open, as one of its documents has no answer.
  const unsure = await search(system, id, { where: 'escalated' });
  assert.deepEqual(
    unsure.ids,
    [7, 107, 207, 307, 407, 507].map((at) => `doc-${at}`),
  );
  assert.deepEqual(
    { ...unsure.end },
    { searched: 601, of: 601, found: 6, cursor: 'r_601', has_more: false, complete: false },
  );
  const first = await search(system, id, { where: 'confidence < .8 and answer ~ "ANSWER TO"', limit: '4' });
  assert.deepEqual([first.ids.length, first.end.cursor, first.end.has_more], [4, 'r_308', true]);
  assert.equal(first.cursors.at(-1), first.end.cursor);
  const rest = await search(system, id, { where: 'escalated', after: first.end.cursor ?? '' });
  assert.deepEqual(rest.ids, ['doc-407', 'doc-507']);
  const least = await search(system, id, { sort: 'confidence', limit: '7' });
  // The first drafts come whole, and have a confidence; those that are given up count as 0.
  assert.deepEqual(least.ids.slice(0, 6).toSorted(), unsure.ids.toSorted());
  assert.equal(least.ids.length, 7);
  system.drafterModel.release();
  await system.settled(id);
  const whole = await search(system, id, { where: 'custom_id = doc-600' });
  assert.deepEqual([whole.ids, whole.end.complete], [['doc-600'], true]);
  assert.deepEqual((await search(system, id, { where: 'status = 500' })).ids, []);
});

test('what is wrong with a search is said', async () => {
  const system = await shared();
  const { id } = await system.submit(['a']);
  const asked = async (query: string) => await fetch(`${system.client.baseURL}/batches/${id}/search?${query}`);
  for (const [query, message] of [
    ['where=colour+%3D+red', /colour = red.+ \(character 1\) is no field of a result/],
    [`where=${'x'.repeat(2_001)}`, /where/],
    ['after=7', /'cursor' of an earlier search/],
    ['sort=confidence&after=r_0', /nothing/],
    ['limit=0', /limit/],
  ] as const) {
    const answer = await asked(query);
    assert.equal(answer.status, 400, query);
    assert.match(await answer.text(), message);
  }
  assert.equal((await fetch(`${system.client.baseURL}/batches/batch_${'0'.repeat(32)}/search`)).status, 404);
});

test('a document is shown with its request and its result, whatever its id', async () => {
  const system = await shared();
  const odd = 'a/b ?#"é\ud83d';
  const { id } = await system.submit(['[[unsure]] one', 'two', '[[hang]] three'], {
    id: (at) => (at === 0 ? odd : `doc-${at}`),
  });
  await system.settled(id, ({ request_counts: counts }) => counts?.completed === 2);
  const show = async (customId: string) =>
    await system.client.get<{
      document: number;
      trace_url: string | null;
      request: { body: { model: string } };
      result: Line | null;
    }>(`/batches/${id}/document`, { query: { custom_id: customId } });
  const first = await show('a/b ?#"é\ufffdd83d');
  assert.deepEqual([first.document, first.request.body.model, first.trace_url], [0, 'test', null]);
  assert.equal(first.result?.custom_id, 'a/b ?#"é\ufffdd83d');
  assert.equal((await show('doc-2')).result, null, 'it has none yet');
  await assert.rejects(show('doc-9'), { status: 404 });
  const { custom_id: _none, ...bare } = { custom_id: 1 };
  await assert.rejects(system.client.get(`/batches/${id}/document`, { query: bare }), { status: 400 });
  system.drafterModel.release();
  await system.settled(id);
  assert.equal((await show('doc-2')).result?.custom_id, 'doc-2');
});

test('an answer is reviewed once; results and searches say so, and the files stay as they are', async () => {
  const system = await shared();
  const { id } = await system.submit(['[[unsure]] one', 'two', 'three', '[[status 400]] four']);
  const { output_file_id: output } = await system.settled(id);
  const bytes = async () => await (await system.client.files.content(output ?? '')).text();
  const before = await bytes();
  const right = await review(system, id, { custom_id: 'doc-1', verdict: 'accepted' });
  assert.equal(right['verdict'], 'accepted');
  const corrected = { custom_id: 'doc-0', verdict: 'corrected', answer: 'ONE' };
  const { at: _at, ...told } = await review(system, id, corrected);
  assert.deepEqual(told, { object: 'batch.review', ...corrected });
  assert.equal((await review(system, id, corrected))['answer'], 'ONE', 'the same word again');
  await assert.rejects(review(system, id, { ...corrected, answer: 'two' }), { status: 409, code: 'already_reviewed' });
  await assert.rejects(review(system, id, { custom_id: 'doc-3', verdict: 'accepted' }), { code: 'no_answer' });
  await assert.rejects(review(system, id, { custom_id: 'doc-7', verdict: 'accepted' }), { status: 404 });
  for (const wrong of [
    { custom_id: 'doc-2', verdict: 'corrected' },
    { custom_id: 'doc-2', verdict: 'accepted', answer: 'x' },
    { custom_id: 'doc-2', verdict: 'fine' },
    { custom_id: 'doc-2', verdict: 'corrected', answer: 'x'.repeat(65_537) },
    { verdict: 'accepted' },
  ]) {
    await assert.rejects(review(system, id, wrong), { status: 400 });
  }
  type Listed = { data: Record<string, unknown>[]; cursor: string; has_more: boolean };
  const page = async (query: object): Promise<Listed> =>
    await system.client.get(`/batches/${id}/reviews`, { query: { ...query } });
  const first = await page({ limit: 1 });
  assert.deepEqual([first.data[0]?.['custom_id'], first.has_more], ['doc-0', true]);
  const second = await page({ after: first.cursor });
  assert.deepEqual([second.data[0]?.['custom_id'], second.has_more], ['doc-1', false]);
  const results = async (joined: string): Promise<{ data: Line[] }> =>
    await system.client.get(`/batches/${id}/results`, { query: { with: joined } });
  for (const joined of ['reviews', 'retries,reviews', 'reviews,retries']) {
    const verdicts = (await results(joined)).data.map(
      ({ cascade }) => (cascade?.['review'] as { verdict: string } | undefined)?.verdict ?? null,
    );
    assert.deepEqual(verdicts, ['corrected', 'accepted', null, null], joined);
  }
  assert.deepEqual((await search(system, id, { where: 'not reviewed and error = null' })).ids, ['doc-2']);
  assert.equal(await bytes(), before);
  // What strict readers take for an end of line is none.
  const separated = 'one\u2028two\u0085';
  await review(system, id, { custom_id: 'doc-2', verdict: 'corrected', answer: separated });
  const found = await search(system, id, { where: 'custom_id = doc-2', sort: 'confidence' });
  assert.deepEqual((found.lines[0]?.cascade['review'] as { answer: string } | undefined)?.answer, separated);
  const path = `${system.client.baseURL}/batches/${id}/results?with=reviews&custom_id=doc-2`;
  assert.doesNotMatch(await (await fetch(path)).text(), /[\u2028\u2029\u0085]/);
});

test('a page of long reviews ends early, and nothing is left out', async () => {
  const system = await shared();
  const { id } = await system.submit(Array.from({ length: 60 }, (_, at) => `long ${at}`));
  await system.settled(id);
  const answer = '\u0001'.repeat(40_000);
  for (let at = 0; at < 60; at += 1) await review(system, id, { custom_id: `doc-${at}`, verdict: 'corrected', answer });
  const found: string[] = [];
  let pages = 0;
  for (let after = ''; ; pages += 1) {
    const query = { limit: '1000', ...(after === '' ? {} : { after }) };
    const page = await system.client.get<{ data: { custom_id: string }[]; cursor: string; has_more: boolean }>(
      `/batches/${id}/reviews`,
      { query },
    );
    found.push(...page.data.map(({ custom_id }) => custom_id));
    assert.ok(page.data.length <= 16, String(page.data.length));
    if (!page.has_more) break;
    after = page.cursor;
  }
  assert.ok(pages >= 3);
  assert.deepEqual(found, docIds(60));
});
