import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CascadeSpec } from './cascade/spec.ts';
import { readConfiguration } from './config.ts';

const GOOD = `
models:
  small: { base_url: http://drafter-model:8000/v1, model: qwen3-4b, api_key_env: SMALL_KEY, price: { input: 0.05, output: 0.2 } }
  large: { base_url: http://expert-model:8000/v1, model: qwen3-235b, concurrency: 4, timeout_s: 60, max_attempts: 2 }
cascades:
  invoices:
    drafter: small
    expert: large
    confidence: { signal: min_logprob }
    accept_at: 0.9
    on_deadline: draft
`;

const MODELS = `
models:
  small: { base_url: http://a/v1, model: s }
  medium: { base_url: http://b/v1, model: m }
  large: { base_url: http://c/v1, model: l }
`;

/** The problems of a configuration, each as `path: what was expected`. */
function problemsOf(text: string): string[] {
  const read = readConfiguration(text);
  return read.kind === 'valid' ? [] : read.problems.map(({ path, expected }) => `${path}: ${expected}`);
}

/** The cascade of these lines. */
function cascadeOf(lines: string): CascadeSpec {
  const read = readConfiguration(`${MODELS}cascades:\n  x:\n${lines}`);
  assert.equal(read.kind, 'valid', JSON.stringify(read));
  return read.configuration.cascades['x'] as CascadeSpec;
}

const stagesOf = (...stages: string[]): string => `    stages:\n${stages.map((one) => `      - ${one}\n`).join('')}`;
const problemsOfStages = (...stages: string[]): string[] =>
  problemsOf(`${MODELS}cascades:\n  x:\n${stagesOf(...stages)}`);

test('a good file is read, defaults are filled in', () => {
  const read = readConfiguration(GOOD);
  assert.equal(read.kind, 'valid');
  const { models, cascades } = read.configuration;
  assert.equal(models['small']?.concurrency, 16);
  assert.equal(models['small']?.max_attempts, 4);
  assert.deepEqual(models['small']?.price, { input: 0.05, output: 0.2 });
  assert.deepEqual(models['small']?.request, { default: {}, override: {} });
  assert.equal(models['large']?.timeout_s, 60);
  assert.equal(models['large']?.max_attempts, 2);
  assert.equal(cascades['invoices']?.on_deadline, 'draft');
  assert.equal(cascades['invoices']?.annotate, true);
});

test('the short form is the long form of two stages', () => {
  const plain = {
    tolerance: null,
    verdict: null,
    ask: 'answer',
    request: { default: {}, override: {} },
    rename: {},
    drop: [],
    system: null,
  };
  const judge = { confidence: { signal: { name: 'min_logprob' }, calibration: null }, acceptAt: 0.9 };
  const stages = [
    { model: 'small', ...plain, judge, stop_early: true },
    { model: 'large', ...plain, judge: null, stop_early: false },
  ];
  const short = '    drafter: small\n    expert: large\n    confidence: { signal: min_logprob }\n    accept_at: 0.9\n';
  const read = { form: 'short', stages, on_deadline: 'error', annotate: true, aim: null, agreement: null, audit: null };
  assert.deepEqual(cascadeOf(short), read);
  const long = stagesOf('{ model: small, confidence: { signal: min_logprob }, accept_at: 0.9 }', '{ model: large }');
  assert.deepEqual(cascadeOf(long), { ...read, form: 'long' });
});

test('an audit: its defaults, and what it cannot be', () => {
  const two = '    drafter: small\n    expert: large\n    accept_at: 0.9\n';
  assert.deepEqual(cascadeOf(`${two}    audit: {}\n`).audit, {
    share: 0.01,
    onAlarm: 'report',
    atMost: 0.05,
    certainty: 0.95,
  });
  const long = cascadeOf(
    `    audit: { share: 1, on_alarm: tighten, at_most: 0 }\n${stagesOf('{ model: small, accept_at: 0.9 }', LAST)}`,
  );
  assert.deepEqual(long.audit, { share: 1, onAlarm: 'tighten', atMost: 0, certainty: 0.95 });
  const wrong = 'audit: { share: 0, on_alarm: stop, at_most: 1, certainty: 1, rate: 2 }';
  const problems = problemsOf(`${MODELS}cascades:\n  x:\n${two}    ${wrong}\n`);
  for (const key of [
    'share: expected a number above 0',
    'on_alarm: expected one of report, tighten',
    'at_most: expected a number from 0',
    'certainty: expected a number between',
  ]) {
    assert.ok(
      problems.some((one) => one.startsWith(`cascades.x.audit.${key}`)),
      `${key} in ${problems.join('\n')}`,
    );
  }
  assert.ok(problems.some((one) => one.includes('rate')));
  // Of a stage there is none.
  assert.ok(problemsOfStages('{ model: small, accept_at: 0.9, audit: {} }', LAST).some((one) => one.includes('audit')));
});

const LAST = '{ model: large }';

test('drafts are given up early where that changes no decision and nobody needs the rest, or not at all', () => {
  const stopping = (judged: string, more = ''): boolean[] =>
    cascadeOf(`${more}${stagesOf(`{ model: small, accept_at: 0.9, ${judged} }`, LAST)}`).stages.map(
      ({ stop_early }) => stop_early,
    );
  assert.deepEqual(stopping('confidence: { signal: sum_logprob }'), [true, false]);
  assert.deepEqual(stopping('confidence: { signal: sum_logprob }, stop_early: false'), [false, false]);
  assert.deepEqual(stopping('confidence: { signal: mean_logprob }'), [false, false]);
  assert.deepEqual(stopping('confidence: { signal: min_logprob }', '    on_deadline: draft\n'), [false, false]);
  const asked = '{ model: small, accept_at: 0.9, stop_early: true }';
  const at = (stage: number): string => `cascades.x.stages.${stage}.stop_early`;
  assert.deepEqual(
    problemsOfStages('{ model: small, accept_at: 0.9, confidence: { signal: mean_logprob }, stop_early: true }', LAST),
    [`${at(0)}: expected false: what mean_logprob says of a draft only its end shows`],
  );
  assert.deepEqual(problemsOf(`${MODELS}cascades:\n  x:\n    on_deadline: draft\n${stagesOf(asked, LAST)}`), [
    `${at(0)}: expected false: with \`on_deadline: draft\` a draft is needed whole`,
  ]);
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 0.9 }', '{ model: large, stop_early: true }'), [
    `${at(1)}: no such key in the last stage, whose answer is final`,
  ]);
});

test('a stage may verify the drafts before it, within a tolerance if it says so', () => {
  const asks = (text: string) =>
    cascadeOf(text).stages.map(({ ask, tolerance, stop_early }) => [ask, tolerance, stop_early]);
  const first = '{ model: small, accept_at: 0.9 }';
  // A draft that is verified is worth having whole, unless somebody says otherwise.
  const plain = ['answer', null, false];
  assert.deepEqual(asks(stagesOf(first, '{ model: large, ask: verify }')), [plain, ['verify', null, false]]);
  assert.deepEqual(asks(stagesOf(first, '{ model: large, ask: verify, verify: { tolerance: 0.1 } }')), [
    plain,
    ['verify', 0.1, false],
  ]);
  const short = '    drafter: small\n    expert: large\n    accept_at: 0.9\n    ask: verify\n';
  assert.deepEqual(asks(short), [plain, ['verify', null, false]]);
  assert.deepEqual(asks(`${short}    stop_early: true\n`)[0], ['answer', null, true]);
  assert.deepEqual(asks(`${short}    verify: { tolerance: 0.5 }\n`)[1], ['verify', 0.5, false]);
  const middle = (more: string): string =>
    stagesOf(first, `{ model: medium, accept_at: 0.9, ask: verify${more} }`, '{ model: large, ask: verify }');
  assert.deepEqual(asks(middle(''))[1], ['verify', null, false]);
});

test('values may have thresholds of their own, and the last stage may be asked for unsure ones only', () => {
  const judged = '{ model: small, accept_at: 0.9, fields: { /total: { accept_at: 0.99 } } }';
  const [first, last] = cascadeOf(stagesOf(judged, '{ model: large, ask: fields }')).stages;
  assert.deepEqual(first?.judge?.fields, { '/total': { acceptAt: 0.99 } });
  assert.deepEqual([first?.stop_early, last?.ask], [false, 'fields']);
  assert.equal(cascadeOf(stagesOf(judged, LAST)).stages[0]?.stop_early, true);
  const calibrated = judged.replace('{ accept_at: 0.99 }', '{ calibration: total.json }');
  assert.deepEqual(cascadeOf(stagesOf(calibrated, LAST)).stages[0]?.judge?.fields, {
    '/total': { calibration: 'total.json' },
  });
  assert.deepEqual(problemsOfStages(judged.replace('{ accept_at: 0.99 }', '{}'), LAST), [
    'cascades.x.stages.0.fields./total: expected accept_at, calibration, or both',
  ]);
  const short = '    drafter: small\n    expert: large\n    accept_at: 0.9\n    ask: fields\n';
  const own = `${short}    fields: { /total: { accept_at: 0.99 } }\n`;
  assert.deepEqual(cascadeOf(own).stages[0]?.judge?.fields, { '/total': { acceptAt: 0.99 } });
  const plain = '{ model: small, accept_at: 0.9 }';
  const at = 'cascades.x.stages';
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 0.9, fields: { total: { accept_at: 1 } } }', LAST), [
    `${at}.0.fields.total: expected a JSON pointer such as /total`,
  ]);
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 0.9, fields: {} }', LAST), [
    `${at}.0.fields: expected at least one JSON pointer, such as /total`,
  ]);
  assert.deepEqual(problemsOfStages(plain, '{ model: large, fields: { /total: { accept_at: 1 } } }'), [
    `${at}.1.fields: no such key in the last stage, whose answer is final`,
  ]);
  const middle = cascadeOf(stagesOf(plain, '{ model: medium, accept_at: 0.9, ask: fields }', LAST)).stages;
  assert.deepEqual(
    middle.map(({ ask, stop_early }) => [ask, stop_early]),
    [
      ['answer', false],
      ['fields', false],
      ['answer', false],
    ],
  );
  const promised = stagesOf(plain, '{ model: medium, accept_at: 0.9, ask: fields }', LAST);
  assert.deepEqual(problemsOf(`${MODELS}cascades:\n  x:\n${promised}    budget: { expert_share: 0.2 }\n`), [
    'cascades.x.stages.1.ask: expected answer or verify: what is asked for depends on thresholds, which `promise` and `budget` are yet to find',
  ]);
  const whole = '{ model: medium, accept_at: 0.9, ask: fields, confidence: { signal: self_assessment } }';
  assert.deepEqual(problemsOfStages(plain, whole, LAST), [
    `${at}.1.confidence: expected one of mean_logprob, sum_logprob, min_logprob, quantile_logprob, margin, entropy: ` +
      'with `ask: fields` each value is judged by itself',
  ]);
  assert.deepEqual(
    problemsOfStages('{ model: small, accept_at: 0.9, stop_early: true }', '{ model: large, ask: fields }'),
    [`${at}.0.stop_early: expected false: the next stage asks for the values that a whole draft is unsure of`],
  );
});

test('values are asked about only where their signal scores each of them', () => {
  const fields = 'fields: { /total: { accept_at: 0.99 } }';
  for (const [name, more] of [
    ['agreement', ''],
    ['self_assessment', ''],
    ['label', ', answers: [a, b]'],
    ['head', ', calibration: x.json'],
  ] as const) {
    const confidence = `confidence: { signal: ${name}${more} }`;
    const known = 'mean_logprob, sum_logprob, min_logprob, quantile_logprob, margin, entropy';
    const none = `no such key with the signal ${name}, which does not score each value: expected one of ${known}`;
    const asked = `expected answer or verify: the stage before has the signal ${name}, which does not score each value`;
    const first = `{ model: small, accept_at: 0.9, ${confidence} }`;
    const ruled = `{ model: small, accept_at: 0.9, ${confidence}, ${fields} }`;
    assert.deepEqual(problemsOfStages(ruled, LAST), [`cascades.x.stages.0.fields: ${none}`]);
    assert.deepEqual(problemsOfStages(first, '{ model: large, ask: fields }'), [`cascades.x.stages.1.ask: ${asked}`]);
    const short = `${MODELS}cascades:\n  x:\n    drafter: small\n    expert: large\n    accept_at: 0.9\n    ${confidence}\n`;
    assert.deepEqual(problemsOf(`${short}    ${fields}\n`), [`cascades.x.fields: ${none}`]);
    assert.deepEqual(problemsOf(`${short}    ask: fields\n`), [`cascades.x.ask: ${asked}`]);
    const middle = `{ model: medium, accept_at: 0.9, ${fields} }`;
    assert.equal(cascadeOf(stagesOf(first, middle, '{ model: large, ask: fields }')).stages[2]?.ask, 'fields');
  }
});

test('what cannot be verified is told where it is written', () => {
  const last = '{ model: large }';
  const first = '{ model: small, accept_at: 0.9 }';
  const of = (...stages: string[]): string[] => problemsOfStages(...stages);
  assert.deepEqual(of('{ model: small, accept_at: 0.9, ask: verify }', last), [
    'cascades.x.stages.0.ask: expected answer: no stage before the first one has a draft',
  ]);
  assert.deepEqual(of(first, '{ model: large, verify: { tolerance: 0.1 } }'), [
    'cascades.x.stages.1.verify: no such key without `ask: verify`',
  ]);
  assert.deepEqual(of(first, '{ model: large, ask: verify, verify: { tolerance: 1 } }'), [
    'cascades.x.stages.1.verify.tolerance: expected a number between 0 and 1',
  ]);
  const middle = (signal: string): string =>
    `{ model: medium, accept_at: 0.9, ask: verify, confidence: { signal: ${signal} } }`;
  for (const signal of ['margin, calibration: f.json', 'self_assessment', 'agreement']) {
    assert.deepEqual(of(first, middle(signal), last), [
      'cascades.x.stages.1.confidence: expected one of mean_logprob, sum_logprob, min_logprob, quantile_logprob: of what a stage verifies only the log-probs of its own tokens are known',
    ]);
  }
  const stopping = '{ model: medium, accept_at: 0.9, ask: verify, stop_early: true }';
  assert.deepEqual(of(first, stopping, last), [
    'cascades.x.stages.1.stop_early: expected false: with `ask: verify` an answer does not come piece by piece',
  ]);
});

test('the last stage may be asked for a verdict on the draft before it, with a calibration of its own', () => {
  const first = '{ model: small, accept_at: 0.9 }';
  const judge = (acceptAt: number, calibration: string | null = null) => ({
    confidence: { signal: { name: 'self_assessment' }, calibration },
    acceptAt,
  });
  const of = (text: string) => cascadeOf(text).stages.map(({ ask, verdict, stop_early }) => [ask, verdict, stop_early]);
  const plain = ['answer', null, false];
  const last = (more: string): string => `{ model: large, ask: verdict, verdict: { ${more} } }`;
  assert.deepEqual(of(stagesOf(first, last('accept_at: 0.8'))), [plain, ['verdict', judge(0.8), false]]);
  assert.deepEqual(of(stagesOf(first, last('accept_at: 1, calibration: f.json')))[1]?.[1], judge(1, 'f.json'));
  const short = '    drafter: small\n    expert: large\n    accept_at: 0.9\n    ask: verdict\n';
  assert.deepEqual(of(`${short}    verdict: { accept_at: 0.7 }\n`), [plain, ['verdict', judge(0.7), false]]);
});

test('what no verdict can be asked for on is told where it is written', () => {
  const first = '{ model: small, accept_at: 0.9 }';
  const of = (...stages: string[]): string[] => problemsOfStages(...stages);
  const verdict = 'ask: verdict, verdict: { accept_at: 0.8 }';
  assert.deepEqual(of(`{ model: small, accept_at: 0.9, ${verdict} }`, '{ model: large }'), [
    'cascades.x.stages.0.ask: expected answer: no stage before the first one has a draft',
  ]);
  assert.deepEqual(of(first, `{ model: medium, accept_at: 0.9, ${verdict} }`, '{ model: large }'), [
    'cascades.x.stages.1.ask: expected answer or verify: only the last stage says whether a draft is right',
  ]);
  assert.deepEqual(of(first, '{ model: large, ask: verdict }'), [
    'cascades.x.stages.1.verdict: expected accept_at, from which confidence on the draft is final',
  ]);
  for (const given of ['{}', '{ accept_at: 1.5 }', '{ accept_at: -0.1 }', '{ accept_at: yes }']) {
    assert.deepEqual(of(first, `{ model: large, ask: verdict, verdict: ${given} }`), [
      'cascades.x.stages.1.verdict.accept_at: expected a number from 0 to 1',
    ]);
  }
  assert.deepEqual(of(first, '{ model: large, ask: verdict, verdict: { accept_at: 1, calibration: 3 } }'), [
    'cascades.x.stages.1.verdict.calibration: expected the path of a file that `npm run calibrate` wrote',
  ]);
  assert.deepEqual(of(first, '{ model: large, ask: verify, verdict: { accept_at: 0.8 } }'), [
    'cascades.x.stages.1.verdict: no such key without `ask: verdict`',
  ]);
  assert.deepEqual(of(first, `{ model: large, accept_at: 0.9, ${verdict} }`), [
    'cascades.x.stages.1.accept_at: no such key in the last stage, whose answer is final',
  ]);
  assert.deepEqual(of('{ model: small, accept_at: 0.9, stop_early: true }', `{ model: large, ${verdict} }`), [
    'cascades.x.stages.0.stop_early: expected false: before a stage with `ask: verdict` a draft is needed whole',
  ]);
  assert.deepEqual(of(first, `{ model: small, ${verdict} }`), [
    'cascades.x.stages.1.model: expected another model: "small" is in this cascade already',
  ]);
});

test('the long form: each stage has its own confidence, threshold, settings and system text', () => {
  const { stages, on_deadline, annotate } = cascadeOf(
    `    on_deadline: draft\n    annotate: false\n${stagesOf(
      '{ model: small, accept_at: 0.95 }',
      '{ model: medium, confidence: { signal: margin, over: mean, calibration: f.json }, accept_at: 0, system: "Be brief." }',
      '{ model: large, ask: answer, request: { override: { temperature: 0 } }, rename: { max_tokens: max_completion_tokens }, drop: [logit_bias] }',
    )}`,
  );
  assert.deepEqual([on_deadline, annotate], ['draft', false]);
  assert.deepEqual(
    stages.map(({ model, judge, system }) => [model, judge, system]),
    [
      ['small', { confidence: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt: 0.95 }, null],
      [
        'medium',
        { confidence: { signal: { name: 'margin', over: 'mean' }, calibration: 'f.json' }, acceptAt: 0 },
        'Be brief.',
      ],
      ['large', null, null],
    ],
  );
  assert.deepEqual(stages[2]?.request, { default: {}, override: { temperature: 0 } });
  assert.deepEqual(stages[2]?.rename, { max_tokens: 'max_completion_tokens' });
  assert.deepEqual(stages[2]?.drop, ['logit_bias']);
});

test('all problems at once, each with its path and what was expected', () => {
  const read = readConfiguration(`
models:
  small: { base_url: "ftp://x", model: "", concurency: 3, send_priority: true }
  "bad:name": { base_url: http://x/v1, model: m }
cascades:
  a: { drafter: small, expert: huge, accept_at: 1.5 }
`);
  assert.equal(read.kind, 'invalid');
  const paths = read.problems.map((problem) => problem.path);
  for (const path of [
    'models.small.base_url',
    'models.small.send_priority',
    'models.small.model',
    'models.small',
    'models.bad:name',
    'cascades.a.accept_at',
    'cascades.a.expert',
  ]) {
    assert.ok(paths.includes(path), `${path} in ${paths.join(', ')}`);
  }
  assert.equal(paths.length, 7);
  const unknown = read.problems.find((problem) => problem.path === 'models.small');
  assert.match(unknown?.expected ?? '', /concurency/);
});

test('all problems of the long form at once, too', () => {
  const problems = problemsOfStages(
    '{ model: small, accept_at: 1.5, confidence: { signal: guess } }',
    '{ model: huge, ask: guess, request: { default: { stream: true } } }',
    '{ model: small, accept_at: 0.5, confidence: {}, retries: 3 }',
  );
  const paths = problems.map((problem) => problem.slice(0, problem.indexOf(':')));
  assert.deepEqual(paths.toSorted(), [
    'cascades.x.stages.0.accept_at',
    'cascades.x.stages.0.confidence.signal',
    'cascades.x.stages.1.accept_at',
    'cascades.x.stages.1.ask',
    'cascades.x.stages.1.model',
    'cascades.x.stages.1.request.default.stream',
    'cascades.x.stages.2',
    'cascades.x.stages.2.accept_at',
    'cascades.x.stages.2.confidence',
    'cascades.x.stages.2.model',
  ]);
});

test('a cascade that names no model, no cascades at all, YAML that is none', () => {
  const dangling = readConfiguration(GOOD.replace('expert: large', 'expert: huge'));
  assert.deepEqual(dangling, {
    kind: 'invalid',
    problems: [{ path: 'cascades.invoices.expert', expected: 'expected one of models (small, large), got "huge"' }],
  });
  assert.equal(readConfiguration('').kind, 'invalid');
  const broken = readConfiguration('models:\n  a: [1\ncascades: {}');
  assert.equal(broken.kind, 'invalid');
  assert.match(broken.problems[0]?.path ?? '', /^line \d+, column \d+$/);
  assert.deepEqual(problemsOf(`${MODELS}cascades: {}`), ['cascades: expected at least one cascade']);
});

test('an unknown model has the path of the form that was written', () => {
  const expected = 'expected one of models (small, medium, large), got "huge"';
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 1 }', '{ model: huge }'), [
    `cascades.x.stages.1.model: ${expected}`,
  ]);
  const short = '  x: { drafter: huge, expert: large, accept_at: 1 }';
  assert.deepEqual(problemsOf(`${MODELS}cascades:\n${short}`), [`cascades.x.drafter: ${expected}`]);
});

test('a model stands in a cascade once', () => {
  const expected = 'expected another model: "small" is in this cascade already';
  assert.deepEqual(
    problemsOfStages('{ model: small, accept_at: 1 }', '{ model: medium, accept_at: 1 }', '{ model: small }'),
    [`cascades.x.stages.2.model: ${expected}`],
  );
  const short = '  x: { drafter: small, expert: small, accept_at: 1 }';
  assert.deepEqual(problemsOf(`${MODELS}cascades:\n${short}`), [`cascades.x.expert: ${expected}`]);
});

test('the last stage judges nothing, every other one must', () => {
  const last = 'no such key in the last stage, whose answer is final';
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 1 }', '{ model: large, accept_at: 0.5 }'), [
    `cascades.x.stages.1.accept_at: ${last}`,
  ]);
  assert.deepEqual(problemsOfStages('{ model: small, accept_at: 1 }', '{ model: large, confidence: {} }'), [
    `cascades.x.stages.1.confidence: ${last}`,
  ]);
  assert.deepEqual(problemsOfStages('{ model: small }', '{ model: large }'), [
    'cascades.x.stages.0.accept_at: expected a number from 0 to 1: all stages but the last judge',
  ]);
});

test('two to eight stages', () => {
  const names = Array.from({ length: 9 }, (_, at) => `m${at}`);
  const withStages = (count: number): string => {
    const stages = names
      .slice(0, count)
      .map((name, at) => `{ model: ${name}${at === count - 1 ? '' : ', accept_at: 0.5'} }`);
    const models = names.map((name) => `  ${name}: { base_url: http://a/v1, model: m }\n`).join('');
    return `models:\n${models}cascades:\n  x:\n${count === 0 ? '    stages: []\n' : stagesOf(...stages)}`;
  };
  for (const count of [2, 8]) assert.deepEqual(problemsOf(withStages(count)), []);
  for (const count of [0, 1]) {
    const few = 'cascades.x.stages: expected at least two stages: a drafter and an expert';
    assert.deepEqual(problemsOf(withStages(count)), [few]);
  }
  assert.deepEqual(problemsOf(withStages(9)), ['cascades.x.stages: expected at most 8 stages']);
});

test('the two forms do not mix, and what is neither is refused', () => {
  const mixed = `${MODELS}cascades:\n  x:\n    drafter: small\n${stagesOf('{ model: small, accept_at: 1 }', '{ model: large }')}`;
  assert.deepEqual(problemsOf(mixed), ['cascades.x: no key "drafter" (not known here)']);
  assert.ok(problemsOf(`${MODELS}cascades: { x: { stages: 3 } }`)[0]?.startsWith('cascades.x.stages: '));
  assert.ok(problemsOf(`${MODELS}cascades: { x: { stages: [3, null] } }`)[0]?.startsWith('cascades.x.stages.0: '));
  assert.ok(problemsOf(`${MODELS}cascades: { x: 3 }`)[0]?.startsWith('cascades.x: '));
  assert.ok(problemsOf(`${MODELS}cascades: [1]`)[0]?.startsWith('cascades: '));
  assert.ok(problemsOf('models: 1\ncascades: { x: { drafter: a, expert: b, accept_at: 1 } }').length >= 3);
});

test('reserved settings are refused with their place, of a model and of a stage', () => {
  const no = (key: string) => `no "${key}" (Spillway sets it itself)`;
  const text = `
models:
  small: { base_url: http://a/v1, model: s, request: { override: { n: 2 } }, drop: [tools] }
  large: { base_url: http://c/v1, model: l, rename: { /v1/responses: { input: prompt } } }
cascades:
  x:
    stages:
      - { model: small, accept_at: 1, request: { default: { /v1/responses: { stream: true, include: [], text: { format: {} } } } } }
      - { model: large, rename: { max_tokens: top_logprobs } }
`;
  assert.deepEqual(problemsOf(text), [
    `models.small.request.override.n: ${no('n')}`,
    `models.small.drop.0: ${no('tools')}`,
    `models.large.rename./v1/responses.input: ${no('input')}`,
    `models.large.rename./v1/responses.input: ${no('prompt')}`,
    `cascades.x.stages.0.request.default./v1/responses.stream: ${no('stream')}`,
    `cascades.x.stages.0.request.default./v1/responses.include: ${no('include')}`,
    `cascades.x.stages.0.request.default./v1/responses.text.format: ${no('text.format')}`,
    `cascades.x.stages.1.rename.max_tokens: ${no('top_logprobs')}`,
  ]);
});

test('a signal: unknown ones, wrong parameters, and those that say nothing without a calibration', () => {
  const first = (confidence: string) =>
    problemsOfStages(`{ model: small, accept_at: 1, confidence: ${confidence} }`, '{ model: large }');
  const at = 'cascades.x.stages.0.confidence';
  assert.match(first('{ signal: guess }')[0] ?? '', new RegExp(`^${at}.signal: expected one of .*\\bsum_logprob, `));
  assert.match(first('{ signal: quantile_logprob, alpha: 7 }')[0] ?? '', new RegExp(`^${at}.alpha: `));
  assert.match(first('{ signal: sum_logprob, alpha: 7 }')[0] ?? '', new RegExp(`^${at}: no key "alpha"`));
  assert.deepEqual(first('{ signal: entropy }'), [
    `${at}.calibration: expected a file: the signal entropy says nothing without a calibration`,
  ]);
  assert.deepEqual(first('{ signal: entropy, calibration: 3 }'), [
    `${at}.calibration: expected the path of a file that \`npm run calibrate\` wrote`,
  ]);
  assert.deepEqual(first('{ signal: entropy, calibration: f.json }'), []);
});

test('prices, webhooks and limits of models are checked', () => {
  const models = (more: string) => GOOD.replace('timeout_s: 60', more);
  assert.deepEqual(problemsOf(models('price: { input: 1, cached_input: 0.25, output: 4 }')), []);
  for (const [more, path] of [
    ['price: { input: 1 }', 'models.large.price.output'],
    ['price: { input: -1, output: 1 }', 'models.large.price.input'],
    ['price: { input: 1, output: 1, cached: 0 }', 'models.large.price'],
    ['timeout_s: 0', 'models.large.timeout_s'],
    ['max_tries: 3', 'models.large'],
    ['scaling: { max_replicas: 0 }', 'models.large.scaling.max_replicas'],
    ['api_key_env: "a-b"', 'models.large.api_key_env'],
  ] as const) {
    assert.ok(
      problemsOf(models(more)).some((problem) => problem.startsWith(`${path}: `)),
      path,
    );
  }
  const hook = '{ url: "https://x/y", secret_env: S, events: [batch.begun] }';
  const [problem] = problemsOf(`${GOOD}webhooks:\n  ops: ${hook}\n`);
  assert.ok(problem?.startsWith('webhooks.ops.events.0: '), problem);
});

test('aliases of nothing, and aliases that grow without end, are problems too', () => {
  const level = (at: number): string =>
    `l${at}: &l${at} [${Array.from({ length: 9 }, () => `*l${at - 1}`).join(', ')}]`;
  const bomb = ['l0: &l0 [x]', ...[1, 2, 3, 4, 5].map(level)].join('\n');
  for (const text of ['models: *nothing', bomb]) {
    const read = readConfiguration(text);
    assert.ok(read.kind === 'invalid' && read.problems.length > 0, text);
    assert.match(read.problems[0]?.expected ?? '', /^valid YAML: /);
  }
});
