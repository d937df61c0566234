import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { beginsThought, splitThought } from './thought.ts';

/** The answer in a text; null: a thought that never ends. */
function answerIn(text: string, request = {}): string | null {
  const split = splitThought(text, request);
  if (split.kind === 'unclosed') return null;
  return split.kind === 'none' ? text : text.slice(split.from, split.to);
}

const HARMONY = '<|channel|>analysis<|message|>two and two<|end|><|start|>assistant<|channel|>final<|message|>four';

test('the answer is what comes after a thought that the text begins with', () => {
  const texts = [
    '<think>let me see</think>four',
    ' \n<think>\nlet me see\n</think>\n\nfour',
    '<think></think>four',
    '<think>a</think>\n<think>b</think>four',
    '<thinking>let me see</thinking> four',
    '<thought>let me see</thought>four',
    '<reasoning>let me see</reasoning>\nfour',
    '<seed:think>let me see</seed:think>four',
    '[THINK]let me see[/THINK]four',
    '◁think▷let me see◁/think▷four',
    'let me see </think> four',
    'let me see\n</think>\n\nfour',
    HARMONY,
    `<|start|>assistant${HARMONY}<|return|>`,
    HARMONY.replace('final<', 'final <|constrain|>json<'),
    HARMONY.replace('<|end|><|start|>assistant', ''),
    '<|channel|>final<|message|>four<|end|>',
    'two and two<|end|><|start|>assistant<|channel|>final<|message|>four',
    'analysisTwo and two.assistantfinalfour',
  ];
  for (const text of texts) assert.equal(answerIn(text), 'four', text);
  assert.equal(answerIn('<think>let me see</think>'), '');
});

test('a thought that never ends is no answer', () => {
  const texts = [
    '<think> so first I look at the total',
    '<think>',
    '<thinking>hm',
    '<think>a</think><think>b',
    '<|channel|>analysis<|message|>two and two',
    '<|channel|>analysis<|message|>two<|end|><|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>',
    '<|channel|>',
  ];
  for (const text of texts) assert.equal(answerIn(text), null, text);
});

test('a text that speaks of such marks is whole', () => {
  const texts = [
    '',
    'four',
    'The tag <think> opens a thought, and </think> ends it.',
    'It ends with `</think>`.',
    'It ends with "</think>" and nothing else.',
    'Write:\n```xml\n</think>\n```',
    '{"tag": "</think>"}',
    '["<think>", "</think>"]',
    '<thinker>Rodin</thinker>',
    '<b><think></b>',
    'The header <|channel|>final<|message|> begins the answer.',
    'analysis of the total: four',
  ];
  for (const text of texts) assert.equal(answerIn(text), text, text);
});

test('the end of a thought is spoken of in quotes and in code, and where the request speaks of it', () => {
  const texts = [
    'Do:\n\n    re.sub(r".*</think>", "", s)\n\ndone',
    'Do:\n\n\tstrip(</think>)\n\ndone',
    'Do re.sub(r".*</think>", "", s) and be done.',
    "Do re.sub(r'.*</think>', '', s) and be done.",
    "Don't end with 'a b </think>' or so.",
    'Call `split(</think>, 1)` on it.',
    'Write:\n```xml\n<think>\nso\n</think>\n```\nand </think> there.',
  ];
  for (const text of texts) {
    const request = text.includes('and </think>') ? { prompt: 'How are </think> tags written?' } : {};
    assert.equal(answerIn(text, request), text);
  }
  const text = 'Split the text at </think> and keep the rest.';
  for (const prompt of ['What does <think> do?', 'Where does </think> go?']) {
    assert.equal(answerIn(text, { messages: [{ role: 'user', content: prompt }] }), text);
  }
  // Answers of before have thoughts in them where the client leaves them there.
  const history = [{ role: 'assistant', content: '<think>so</think>3' }];
  assert.equal(answerIn('so 4</think>4', { messages: [...history, { role: 'user', content: 'and 2 + 2?' }] }), '4');
  const asked = { messages: [{ role: 'system', content: 'Think between <think> and </think>.' }] };
  assert.equal(answerIn('so 4\n</think>\n\n4', asked), '4', 'as a template writes it');
});

test('a thought that the prompt began may speak of marks, and another may come behind it', () => {
  const texts = [
    'I was told to write <think> first. So.\n</think>\n\nfour',
    'I end this with </think> later. So.\n</think>\n\nfour',
    'It is "</think>" that ends it. So. </think>four',
    'a\n<think>\nb\n</think>\nc </think>four',
    'so\n</think>\n<think>again</think>four',
    'so</think><think>again</think>\n<thinking>and again</thinking>four',
    "It's the user's turn</think>four",
  ];
  for (const text of texts) assert.equal(answerIn(text), 'four', text);
  const split = splitThought('so\n</think>\n<think>again</think>four', {});
  assert.ok(split.kind === 'split');
  assert.deepEqual([split.opened, split.thought], [true, 'so\n\nagain']);
  assert.equal(answerIn('so</think><think>again'), null);
  assert.equal(answerIn('Here:\n<think>\nso\n</think>\n\nfour'), 'Here:\n<think>\nso\n</think>\n\nfour');
});

test('a thought in a channel without marks that never comes to its end is no answer, a word like it is', () => {
  const thoughts = [
    'analysisWe need to add.',
    "analysisLet's see: 2",
    'analysisUser asks for 4',
    'analysisThe PDF says 4',
    'commentaryI call f',
    'analysisSo, two and',
  ];
  for (const text of thoughts) assert.equal(answerIn(text), null, text);
  for (const text of ['analysisResult = 4', 'analysisResult is 4', 'analysisThenable', 'analysis', 'analysis: 4']) {
    assert.equal(answerIn(text), text);
  }
});

test('many marks cost little', () => {
  for (const part of ['"</think>"', '<think> ', '```', '<think>"</think>"']) {
    const startedAtMs = performance.now();
    splitThought(`a${part.repeat(100_000)}`, {});
    assert.ok(performance.now() - startedAtMs < 2_000, part);
  }
});

test('a tag that the request itself asks for is of the answer', () => {
  const text = '<reasoning>two and two</reasoning><answer>four</answer>';
  assert.equal(answerIn(text), '<answer>four</answer>');
  const messages = [{ role: 'system', content: 'Reply as <reasoning>…</reasoning><answer>…</answer>' }];
  assert.equal(answerIn(text, { messages }), text);
  assert.equal(
    answerIn('<think>a</think>b', { messages: [{ content: 'Use <think>' }] }),
    'b',
    'a template writes this one',
  );
});

test('what was thought is told, without its marks', () => {
  const thoughtIn = (text: string) => {
    const split = splitThought(text, {});
    return split.kind === 'none' ? null : split.thought;
  };
  assert.equal(thoughtIn('<think> let me see </think> four'), 'let me see');
  assert.equal(thoughtIn('<think>a</think><think> </think><think>b</think>c'), 'a\n\nb');
  assert.equal(thoughtIn('let me see </think> four'), 'let me see');
  assert.equal(thoughtIn(HARMONY), 'two and two');
  assert.equal(thoughtIn('<think> so first'), 'so first');
  assert.equal(thoughtIn('four'), null);
});

const PAIRS = [
  ['<think>', '</think>'],
  ['<thinking>', '</thinking>'],
  ['[THINK]', '[/THINK]'],
  ['<|channel|>analysis<|message|>', '<|end|><|start|>assistant<|channel|>final<|message|>'],
] as const;
const words = fc.stringMatching(/^[a-zA-Zé€{}":, .\n]*$/);

test('whatever was thought and answered, stripping gives back the answer, and what is left is left alone', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PAIRS),
      words,
      words,
      fc.stringMatching(/^\s*$/),
      ([open, close], thought, answer, blank) => {
        const text = `${blank}${open}${thought}${close}${blank}${answer}`;
        assert.equal(answerIn(text), answer.trimStart());
        assert.equal(answerIn(answer), answer);
        const split = splitThought(text, {});
        assert.ok(split.kind === 'split');
        assert.equal(split.thought, thought.trim());
        assert.equal(text.slice(0, split.from) + text.slice(split.from, split.to), text);
      },
    ),
  );
});

test('of a text that begins with a thought no beginning looks like an answer', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PAIRS), words, words, fc.nat(), ([open, close], thought, answer, cut) => {
      const text = `${open}${thought}${close}${answer}`;
      const begin = text.slice(0, cut % (text.length + 1));
      const mark = open.replace('analysis<|message|>', '');
      assert.equal(beginsThought(begin, {}), begin.length < mark.length ? 'maybe' : 'yes');
      const plain = `${answer}!`;
      if (/^\s*[a-z{]/.test(answer)) assert.equal(beginsThought(plain, {}), 'no');
    }),
  );
  assert.equal(beginsThought('analysis', {}), 'yes');
  assert.equal(beginsThought('analysisthe', {}), 'yes');
  for (const begin of ['a', 'anal', 'commen']) assert.equal(beginsThought(begin, {}), 'maybe');
  assert.equal(beginsThought('analyze', {}), 'no');
  assert.equal(beginsThought(' \n', {}), 'maybe');
});

test('whatever the text, it is split within its bounds', () => {
  const piece = fc.constantFrom(
    ...PAIRS.flat(),
    '<|channel|>',
    '<|start|>',
    '`',
    '"',
    ' ',
    'a',
    '\n',
    'assistantfinal',
    'analysis',
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join('');
      const split = splitThought(text, {});
      if (split.kind !== 'split') return;
      assert.ok(split.from >= 0 && split.from <= split.to && split.to <= text.length);
      if (!split.opened && !text.trimStart().startsWith('analysis')) assert.equal(beginsThought(text, {}), 'yes');
    }),
    { numRuns: 1000 },
  );
});

test('a text that is longer than what is judged is not searched', () => {
  const long = '<|channel|>analysis<|message|>'.repeat(LIMITS.judgedCharacters / 30 + 1);
  assert.deepEqual(splitThought(long, {}), { kind: 'none' });
  assert.equal(splitThought(long.slice(0, LIMITS.judgedCharacters), {}).kind, 'unclosed');
});
