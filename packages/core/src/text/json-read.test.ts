import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { readingJson, type ReadJson } from './json-read.ts';
import { strictJson } from './json-line.ts';
import { writingJson } from './json-write.ts';
import type { Json } from './json.ts';
import { runAtOnce, SLICE_CHARACTERS, type Sliced } from './slices.ts';

const LIMITS = { depth: 128, values: 100_000 };
const read = (text: string, limits = LIMITS): ReadJson => runAtOnce(readingJson(text, limits));

/** What the parser itself says, the order of keys included. */
function parsed(text: string): ReadJson {
  try {
    return { kind: 'json', value: JSON.parse(text) as Json };
  } catch {
    return { kind: 'no_json' };
  }
}

/** Longer than a slice; in what properties make up an `L` stands for it, and a `B` for as many blanks, so that they can be read. */
const long = 'x'.repeat(SLICE_CHARACTERS);
const withLong = (text: string): string => text.replaceAll('L', long).replaceAll('B', ' '.repeat(SLICE_CHARACTERS + 1));

function assertAsParsed(text: string): void {
  const [own, other] = [read(withLong(text)), parsed(withLong(text))];
  assert.equal(own.kind, other.kind, text.slice(0, 200));
  if (own.kind !== 'json' || other.kind !== 'json') return;
  const [left, right] = [JSON.stringify(own.value), JSON.stringify(other.value)];
  assert.ok(left === right && isDeepStrictEqual(own, other), text.slice(0, 200));
}

const pad = fc.constantFrom('', ' ', '\n\t', 'B');
/**
 * Of all names only one has an escape: V8 13.6 takes an escaped name for another of its length that it has seen at its
 * place (`JSON.parse('{"a":1,"\\\\":1}')`, and then of `{"a":1,"\\"":1}`).
 */
const name = fc.constantFrom('a', 'b', '1', '0', '__proto__', 'constructor', '', 'L', 'L1', 'é😀', 'c"');
const scalar = fc.oneof(name, fc.constantFrom('\ud83d', '\\', null, true, -0, 1e21, 0.1));
const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie('tree')), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
  ),
}));
/** JSON as others write it: blanks anywhere, escapes for any character, the same key twice. */
const written = fc.tuple(tree, pad, fc.boolean(), fc.boolean()).map(([value, blank, escapes, twice]) => {
  let text = JSON.stringify(value, null, blank.replace('B', '\t'));
  if (escapes) text = text.replaceAll('L', String.raw`L\u0078L`);
  if (twice) text = text.replaceAll('"b"', '"1"');
  return `${blank}${text}${blank}`;
});

test('a text says what the parser makes of it, keys in their order, whatever is long in it', () => {
  fc.assert(fc.property(written, assertAsParsed), { numRuns: 300 });
});

test('and what the parser does not take is no JSON, whatever is cut out or put in', () => {
  const change = fc.tuple(
    fc.nat(),
    fc.nat({ max: 2 }),
    fc.constantFrom('', ',', '[', ']', '{', '}', '"', '\\', ':', '1', '[]', '\u0001', '\uFEFF'),
  );
  fc.assert(
    fc.property(written, fc.array(change, { minLength: 1, maxLength: 2 }), (text, changes) => {
      let changed = text;
      for (const [at, cut, put] of changes) {
        // Rather at the ends of a long string than within it.
        const place = at % 3 === 0 ? at % (changed.length + 1) : Math.min(changed.length, at % 50);
        changed = changed.slice(0, place) + put + changed.slice(place + cut);
      }
      assertAsParsed(changed);
    }),
    { numRuns: 500 },
  );
});

test('commas too many, brackets that do not fit and names without a value are seen in long texts, too', () => {
  const many = Array.from({ length: 9_000 }, () => '12').join(',');
  const pairs = Array.from({ length: 3_000 }, (_, at) => `"k${at}":${at}`).join(',');
  const quoted = `"${long}y"`;
  for (const text of [
    `[${many}]`,
    `[,${many}]`,
    `[${many},]`,
    `[${many},,${many}]`,
    `[${many}}`,
    `[${many}`,
    `${many}]`,
    `[${many}] 1`,
    `{${pairs}}`,
    `{,${pairs}}`,
    `{${pairs},}`,
    `{${pairs},,${pairs}}`,
    `{${pairs},"a"}`,
    `{${pairs},"a":}`,
    `{${pairs},1:2}`,
    `[${quoted}]`,
    `[${quoted},]`,
    `[,${quoted}]`,
    `[${quoted} ${quoted}]`,
    `[1 ${quoted}]`,
    `[${quoted} 1]`,
    `[1,${quoted},2]`,
    `{${quoted}:1}`,
    `{${quoted}:${quoted}}`,
    `{${quoted}}`,
    `{${quoted}:}`,
    `{"a" ${quoted}}`,
    `{"a":${quoted},}`,
    `{"a"::${quoted}}`,
    `{${quoted}:{"a":[1,2]},"b":[${quoted}]}`,
    `{[1]:${quoted}}`,
    `{"a":1 ${quoted}}`,
    `[${' '.repeat(SLICE_CHARACTERS * 2)}]`,
    `[${' '.repeat(SLICE_CHARACTERS * 2)},]`,
    `"${String.raw`\u00e9`.repeat(SLICE_CHARACTERS)}"`,
    `"${'\\'.repeat(SLICE_CHARACTERS * 2)}"`,
    `"${long}\\u12"`,
    `"${long}${long}\u0001"`,
    `"${long}\\x"`,
  ])
    assertAsParsed(text);
});

test('what is nested too deep or has too many values is refused, and not before', () => {
  const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);
  for (const [open, close] of [
    ['[', ']'],
    ['[1,', '2]'],
  ] as const) {
    assert.equal(read(nested(128, open, close).replace(',]', ']')).kind, open === '[' ? 'json' : 'no_json');
    assert.deepEqual(read(nested(129, open, close)), { kind: 'beyond', excess: 'too_deep' });
  }
  assert.deepEqual(read('{"a":'.repeat(1_000_000)), { kind: 'beyond', excess: 'too_deep' });
  const wide = (count: number, one: (at: number) => string): string =>
    Array.from({ length: count }, (_, at) => one(at)).join(',');
  for (const one of [() => '{}', () => '1', () => '""', () => '[ ]']) {
    assert.equal(read(`[${wide(99_999, one)}]`).kind, 'json');
    assert.deepEqual(read(`[${wide(100_000, one)}]`), { kind: 'beyond', excess: 'too_many_values' });
  }
  assert.equal(read(`{${wide(99_999, (at) => `"${at}":0`)}}`).kind, 'json');
  assert.equal(read(`{${wide(100_000, (at) => `"${at}":0`)}}`).kind, 'beyond');
  // Commas and brackets in a string are none.
  assert.equal(read(`["${',[{'.repeat(200_000)}"]`).kind, 'json');
  // What is refused is not even looked at to its end.
  assert.equal(read('[[1,1],1],'.repeat(100_000), { depth: 4, values: 10 }).kind, 'beyond');
});

/** How many slices work takes, and how many characters the longest text has that it gives to the parser in one. */
function slicesOf(work: () => Sliced<unknown>): { slices: number; longest: number } {
  const { parse, stringify } = JSON;
  let [slices, inSlice, longest] = [0, 0, 0];
  JSON.parse = (text: string) => {
    inSlice += text.length;
    return parse(text) as unknown;
  };
  JSON.stringify = ((value: unknown) => {
    const text = stringify(value);
    inSlice += text.length;
    return text;
  }) as typeof JSON.stringify;
  try {
    const steps = work();
    for (let isOver = false; !isOver; slices += 1) {
      inSlice = 0;
      isOver = steps.next().done === true;
      longest = Math.max(longest, inSlice);
    }
  } finally {
    Object.assign(JSON, { parse, stringify });
  }
  return { slices, longest };
}

const HOSTILE: Readonly<Record<string, (size: number) => string>> = {
  'one string': (size) => `"${'x'.repeat(size)}"`,
  'one string of escapes': (size) => `"${'\\n'.repeat(size / 2)}"`,
  'one string of backslashes': (size) => `"${'\\\\'.repeat(size / 2)}"`,
  'one name': (size) => `{"${'x'.repeat(size)}":1}`,
  'many scalars': (size) => `[${'1,'.repeat(size / 2)}1]`,
  'many objects': (size) => `[${'{},'.repeat(size / 3)}1]`,
  'many names': (size) => `{${Array.from({ length: size / 10 }, (_, at) => `"k${at}":1`).join(',')}}`,
  'the same name': (size) => `{${'"k":1,'.repeat(size / 6)}"k":2}`,
  'long strings deep down': (size) =>
    `${'{"a":['.repeat(60)}${`"${'y'.repeat(20_000)}",`.repeat(size / 20_000)}1${']}'.repeat(60)}`,
  'short beside long': (size) => `[${`1,"${'z'.repeat(SLICE_CHARACTERS)}",`.repeat(size / SLICE_CHARACTERS)}1]`,
};

for (const [what, make] of Object.entries(HOSTILE)) {
  test(`no slice is long, and there are no more of them than the text is long: ${what}`, () => {
    const limits = { depth: 128, values: 10_000_000 };
    const sizes = [200_000, 800_000].map((size) => {
      const text = make(size);
      const reading = slicesOf(() => readingJson(text, limits));
      assert.ok(reading.longest <= 3 * SLICE_CHARACTERS, `${reading.longest} characters parsed in one slice`);
      const result = read(text, limits);
      assert.ok(result.kind === 'json');
      const writing = slicesOf(() => writingJson(result.value));
      assert.ok(writing.longest <= 4 * SLICE_CHARACTERS, `${writing.longest} characters written in one slice`);
      return { reading: reading.slices, writing: writing.slices };
    });
    const [few, many] = sizes as [(typeof sizes)[0], (typeof sizes)[0]];
    assert.ok(
      many.reading <= 6 * few.reading && many.reading <= (8 * 800_000) / SLICE_CHARACTERS,
      JSON.stringify(sizes),
    );
    assert.ok(many.writing <= 6 * few.writing + 6, JSON.stringify(sizes));
  });
}

test('a long value is written as a short one is', () => {
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 20 }), (value) => {
      assert.equal(runAtOnce(writingJson(value)), strictJson(value));
    }),
  );
  const halves = [
    '\ud83d'.repeat(SLICE_CHARACTERS + 1),
    `a${'😀'.repeat(SLICE_CHARACTERS)}`,
    `${long}\ud83d`,
    `${long.slice(1)}😀\u2028`,
  ];
  for (const text of halves) {
    assert.equal(runAtOnce(writingJson({ [text]: text, b: [text] })), strictJson({ [text]: text, b: [text] }));
  }
});
