import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import type { Seen } from './customer.ts';
import { answerOf, type DocumentKind, type ModelName } from './documents.ts';
import { failedInCalm, violationsOf, wrongEndings, type Calls } from './invariants.ts';

/** Who is asked for a document of a kind, the last one answering it. */
const WAYS: Readonly<Partial<Record<DocumentKind, readonly ModelName[]>>> = {
  small: ['small'],
  medium: ['small', 'medium'],
  rejected: ['small', 'medium', 'large'],
};
const KINDS: readonly DocumentKind[] = ['small', 'medium', 'rejected', 'small'];
const nameOf = (at: number): string => `s1-b0-${at}`;

function lineOf(at: number, change: { text?: string; attempts?: number; model?: ModelName } = {}): string {
  const kind = KINDS[at] ?? 'small';
  const way = WAYS[kind] ?? [];
  const model = change.model ?? way.at(-1) ?? 'small';
  const stages = way.map((one) => ({ model: one, outcome: 'answered', reason: null, attempts: change.attempts ?? 1 }));
  const content = change.text ?? answerOf(model, nameOf(at), '');
  const body = kind === 'rejected' ? { error: { message: 'scripted 400' } } : { choices: [{ message: { content } }] };
  const response = { status_code: kind === 'rejected' ? 400 : 200, body };
  return JSON.stringify({ custom_id: nameOf(at), response, error: null, cascade: { model, stages } });
}

const endOf = (change: object = {}): OpenAI.Batch =>
  ({ status: 'completed', request_counts: { total: 4, completed: 3, failed: 1 }, ...change }) as OpenAI.Batch;

/** A batch of which nothing is wrong. */
function sound(change: Partial<Seen> = {}): Seen {
  return {
    batch: 0,
    tenant: 'one',
    isRetry: false,
    wish: 'nothing',
    isRedecided: false,
    sent: KINDS.map((kind, at) => ({ name: nameOf(at), kind })),
    id: 'batch_1',
    isCancelAsked: false,
    ends: [endOf(), endOf()],
    output: [lineOf(0), lineOf(1), lineOf(3)],
    errors: [lineOf(2)],
    early: [lineOf(0)],
    complaints: [],
    ...change,
  };
}

const callsOf = (more: Partial<Record<ModelName, string[]>> = {}): Calls => {
  const of = (model: ModelName): Map<string, number> => {
    const asked = KINDS.flatMap((kind, at) => (WAYS[kind]?.includes(model) === true ? [nameOf(at)] : []));
    return new Map([...asked, ...(more[model] ?? [])].map((name) => [name, 1]));
  };
  return { small: of('small'), medium: of('medium'), large: of('large') };
};

const terms = { calls: callsOf(), mayCharge: false };

const WRONG: Readonly<Record<string, readonly [Partial<Seen>, RegExp]>> = {
  'it did not end': [{ ends: [] }, /stands still/],
  'it ended as failed': [{ ends: [endOf({ status: 'failed' })] }, /ended as failed/],
  'it was cancelled by nobody': [{ ends: [endOf({ status: 'cancelled' })] }, /ended as cancelled/],
  'two APIs show two things': [{ ends: [endOf(), endOf({ metadata: {} })] }, /in 2 ways/],
  'a document has no line': [{ output: [lineOf(0), lineOf(1)] }, /1 documents have no line: s1-b0-3/],
  'a document has two lines': [{ output: [lineOf(0), lineOf(0), lineOf(1), lineOf(3)] }, /have two lines: s1-b0-0/],
  'a document has a line in both files': [{ errors: [lineOf(0), lineOf(2)] }, /have two lines/],
  "a line is nobody's": [{ output: [lineOf(0), lineOf(1), lineOf(9)] }, /lines of nobody/],
  'lines are not in order': [{ output: [lineOf(1), lineOf(0), lineOf(3)] }, /not in input order/],
  'counts are not those of the files': [
    { ends: [endOf({ request_counts: { total: 4, completed: 2, failed: 2 } })] },
    /counts 2\/2, lines 3\/1/,
  ],
  'the total is another': [{ ends: [endOf({ request_counts: { total: 3, completed: 3, failed: 1 } })] }, /total is 3/],
  'a visible result changed': [{ early: [lineOf(0, { attempts: 2 })] }, /changed after they were visible/],
  'a visible result went away': [{ early: [lineOf(5)] }, /changed after they were visible/],
  'a result was shown twice': [{ early: [lineOf(0), lineOf(0)] }, /shown twice/],
  'the answer is of somebody else': [
    { output: [lineOf(0, { text: 'small answers s1-b0-3' }), lineOf(1), lineOf(3)] },
    /has the answer/,
  ],
  'the answer is of another stage': [
    { output: [lineOf(0, { model: 'large' }), lineOf(1), lineOf(3)] },
    /answered by large in place of small/,
  ],
  'an attempt was used up': [{ output: [lineOf(0, { attempts: 2 }), lineOf(1), lineOf(3)] }, /was charged/],
  'an innocent document failed': [{ output: [lineOf(1), lineOf(3)], errors: [lineOf(0), lineOf(2)] }, /somebody else/],
  'a guilty one was answered': [{ output: [lineOf(0), lineOf(1), lineOf(2), lineOf(3)], errors: [] }, /rejected/],
  'a line is half a character': [{ output: ['"\\ud83d"'] }, /no strict reader/],
};

test('a batch of which nothing is wrong violates nothing', () => {
  assert.deepEqual(violationsOf(sound(), terms), []);
});

for (const [what, [change, expected]] of Object.entries(WRONG)) {
  test(`found from outside: ${what}`, () => {
    assert.match(violationsOf(sound(change), terms).join('\n'), expected);
  });
}

/** The same as a batch that wants a promise, of lines with this certificate and this threshold. */
function promised(lines: readonly (readonly [certificate: object | null, acceptAt: number])[], thresholds: object[]) {
  const output = lines.map(([certificate, acceptAt], at) => {
    const line = JSON.parse(lineOf([0, 1, 3][at] ?? 0)) as { cascade: { stages: object[] } };
    const stages = line.cascade.stages.map((stage) => ({ ...stage, accept_at: acceptAt }));
    return JSON.stringify({ ...line, cascade: { ...line.cascade, certificate, stages } });
  });
  const end = endOf({ spillway: { thresholds } });
  return violationsOf(sound({ wish: 'promise', ends: [end], output, early: [] }), terms).join('\n');
}

test('found from outside: thresholds that were not found, or twice, or that lines do not say', () => {
  const certificate = { agreement: 0.8, certainty: 0.9 };
  const all = [certificate, certificate, certificate].map((one) => [one, 0.5] as const);
  const shown = { outcome: 'certified', documents: 4 };
  assert.equal(promised(all, [shown]), '');
  assert.match(promised(all, [{ ...shown, outcome: 'sampling' }]), /a promise came to sampling/);
  assert.match(promised(all, []), /came to undefined/);
  assert.match(promised(all, [{ ...shown, documents: 3 }]), /is of 3 documents/);
  assert.match(promised(all, [{ ...shown, outcome: 'not_certified' }]), /wrong lines/);
  assert.match(promised([...all.slice(1), [null, 0.5]], [shown]), /2 certificates/);
  assert.match(promised([...all.slice(1), [certificate, 0.6]], [shown]), /by the thresholds/);
});

test('found from outside: a model was asked that should not have been, or named that never was', () => {
  const further = { calls: callsOf({ large: [nameOf(0)] }), mayCharge: false };
  assert.match(violationsOf(sound(), further).join('\n'), /went further/);
  const never = { calls: { ...callsOf(), medium: new Map<string, number>() }, mayCharge: false };
  assert.match(violationsOf(sound(), never).join('\n'), /never had its call/);
});

test('a cancelled batch has a line for each document, or none at all before it was validated', () => {
  const cancelled = (at: number): string =>
    JSON.stringify({ custom_id: nameOf(at), response: null, error: { code: 'batch_cancelled', message: '' } });
  const counts = { request_counts: { total: 4, completed: 1, failed: 0 } };
  const whole = {
    isCancelAsked: true,
    ends: [endOf({ status: 'cancelled', ...counts })],
    output: [lineOf(0)],
    errors: [cancelled(1), cancelled(2), cancelled(3)],
  };
  assert.deepEqual(violationsOf(sound(whole), terms), []);
  assert.match(violationsOf(sound({ ...whole, isCancelAsked: false }), terms).join('\n'), /ended as cancelled/);
  const none = { total: 0, completed: 0, failed: 0 };
  const before = { ends: [endOf({ status: 'cancelled', request_counts: none })], output: [], errors: [], early: [] };
  assert.deepEqual(violationsOf(sound({ isCancelAsked: true, ...before }), terms), []);
});

test('a process that was told to end has ended in time and with 0; none ended by itself', () => {
  const ending = { process: 'api-0', how: 'terminated', code: 0, signal: null, ms: 100 } as const;
  assert.deepEqual(wrongEndings([ending, { ...ending, how: 'before_ready', code: 1 }]), []);
  assert.equal(wrongEndings([{ ...ending, code: 1 }]).length, 1);
  assert.equal(wrongEndings([{ ...ending, ms: 60_000 }]).length, 1);
  assert.equal(wrongEndings([{ ...ending, how: 'by_itself', code: null, signal: 'SIGABRT' }]).length, 1);
});

test('in a rolling restart each failed call of a client counts', () => {
  assert.equal(failedInCalm([{ call: 'retrieve', status: 503, message: 'no' }]).length, 1);
});
