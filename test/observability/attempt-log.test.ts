import assert from 'node:assert/strict';
import { test } from 'node:test';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

type Line = Readonly<Record<string, unknown>>;

/** The lines of attempts that the processes of a system logged. */
const attemptsOf = (system: System): Line[] =>
  system.services.flatMap(({ lines }) => lines.filter(({ msg }) => msg === 'attempt'));

/** The same of processes that were stopped: they have written all of their lines. */
async function attemptsAtEnd(system: System): Promise<Line[]> {
  await Promise.all(system.services.map((service) => service.stop()));
  return attemptsOf(system);
}

const byDocument = (lines: readonly Line[], document: string): Line[] =>
  lines
    .filter((line) => line['document'] === document)
    .toSorted((left, right) => Number(left['time']) - Number(right['time']));

const part = (line: Line | undefined, ...names: readonly string[]): unknown[] => names.map((name) => line?.[name]);

/** What no line of a log may hold: the text of a prompt, of an answer, of a model server's error. */
const PROMPT = 'the-prompt-itself';
const CONTENT = [PROMPT, 'answer to', 'scripted'];

const prompts = [
  `${PROMPT} a`,
  `[[drafter unsure]] ${PROMPT} b`,
  `[[drafter status 500 x1]] ${PROMPT} c`,
  `[[drafter status 400]] ${PROMPT} d`,
  `[[drafter unsure]] [[expert status 500]] ${PROMPT} e`,
  `[[drafter status 429 0 x1]] ${PROMPT} f`,
];

/** A system whose every document has come to its end, with what its processes logged. */
async function logged(share: string) {
  await using system = await System.start({
    models: { small: { max_attempts: 2 }, large: { max_attempts: 2 } },
    env: { SPILLWAY_LOG_ATTEMPT_SHARE: share },
  });
  const { id } = await system.submit(prompts);
  const { output, errors } = await wholeResults(system, await system.settled(id), docIds(prompts.length));
  assert.deepEqual(
    errors.map((line) => line.custom_id),
    ['doc-4'],
  );
  const lines = await attemptsAtEnd(system);
  for (const { lines: all } of system.services) {
    for (const content of CONTENT) {
      assert.ok(!all.some((line) => JSON.stringify(line).includes(content)), `a line holds "${content}"`);
    }
  }
  return { id, lines, output };
}

test('one line per attempt: which document, stage and attempt, how long it took, what was decided and why', async () => {
  const { id, lines, output } = await logged('1');
  for (const line of lines) {
    assert.deepEqual(part(line, 'level', 'batch', 'cascade'), ['info', id, 'test']);
    const [tier, role, stage] = part(line, 'tier', 'role', 'stage');
    assert.deepEqual([tier, role], stage === 1 ? ['drafter.small', 'drafter'] : ['expert.large', 'expert']);
    assert.equal(line['calibrated'], stage === 1 ? false : null);
    const { request, answer } = line['bytes'] as { readonly request: number; readonly answer: number };
    assert.ok(request > PROMPT.length && answer >= 0, JSON.stringify(line));
  }
  const decided = prompts.map((_, at) =>
    byDocument(lines, `doc-${at}`).map((line) => part(line, 'stage', 'attempt', 'decision', 'status')),
  );
  assert.deepEqual(decided, [
    [[1, 1, 'accepted', 200]],
    [
      [1, 1, 'escalated', 200],
      [2, 1, 'answered', 200],
    ],
    [
      [1, 1, 'retry', 500],
      [1, 2, 'accepted', 200],
    ],
    [
      [1, 1, 'escalated', 400],
      [2, 1, 'answered', 200],
    ],
    [
      [1, 1, 'escalated', 200],
      [2, 1, 'retry', 500],
      [2, 2, 'failed', 500],
    ],
    [
      [1, 1, 'hold', 429],
      [1, 1, 'accepted', 200],
    ],
  ]);
  const first = (document: number, at = 0): Line | undefined => byDocument(lines, `doc-${document}`)[at];
  const confidences = output.map(({ cascade }) => cascade?.stages[0]?.confidence);
  assert.deepEqual(part(first(0), 'reason', 'confidence'), [null, confidences[0]]);
  assert.deepEqual(part(first(1), 'reason', 'confidence'), ['low_confidence', confidences[1]]);
  assert.ok(Number(confidences[0]) > 0.8 && Number(confidences[1]) < 0.8);
  assert.deepEqual(part(first(1, 1), 'reason', 'confidence'), [null, null]);
  assert.deepEqual(part(first(2), 'reason', 'confidence'), ['status 500', null]);
  assert.deepEqual(part(first(3), 'reason', 'confidence'), ['drafter_rejected', null]);
  assert.match(String(first(5)?.['reason']), /429/);
  for (const line of lines) {
    const [waitMs, ms] = part(line, 'waitMs', 'ms');
    assert.ok(Number.isInteger(waitMs) && Number.isInteger(ms), JSON.stringify(line));
  }
  for (const line of lines.filter(({ status }) => status === 200)) {
    assert.ok((line['bytes'] as { readonly answer: number }).answer > 100, JSON.stringify(line));
  }
});

test('failures have their line whatever share of the attempts is logged, and with none nothing else has one', async () => {
  const { lines } = await logged('0');
  const decided = lines.map((line) => part(line, 'document', 'stage', 'decision').join(' '));
  assert.deepEqual(decided.toSorted(), [
    'doc-2 1 retry',
    'doc-3 1 escalated',
    'doc-4 2 failed',
    'doc-4 2 retry',
    'doc-5 1 hold',
  ]);
});

test('an answer at once has its lines too', async () => {
  await using system = await System.start({ env: { SPILLWAY_LOG_ATTEMPT_SHARE: '1' } });
  const messages = [{ role: 'user' as const, content: `[[drafter unsure]] ${PROMPT}` }];
  await system.client.chat.completions.create({ model: 'test', messages });
  await until(async () => attemptsOf(system).length === 2);
  const lines = attemptsOf(system);
  assert.deepEqual(
    lines.map((line) => part(line, 'tier', 'attempt', 'decision', 'reason')),
    [
      ['drafter.small', 1, 'escalated', 'low_confidence'],
      ['expert.large', 1, 'answered', null],
    ],
  );
  assert.ok(!JSON.stringify(lines).includes(PROMPT));
});

test('a share that is none is refused at the start', async () => {
  await using system = await System.create();
  for (const share of ['2', '-1', 'all']) {
    await assert.rejects(
      system.run('drafter', { SPILLWAY_LOG_ATTEMPT_SHARE: share }),
      /SPILLWAY_LOG_ATTEMPT_SHARE: expected a number from 0 to 1, got /,
    );
  }
});
