import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../text/json.ts';
import { byPrefix } from './prefix-order.ts';

/** Texts that differ from their first characters on. */
const words = (name: string, characters: number): string => `${name} `.padEnd(characters, `words of ${name}, `);

const said = (...contents: readonly string[]): JsonObject => ({
  messages: contents.map((content, at) => ({ role: at + 1 < contents.length ? 'system' : 'user', content })),
});

/** The places of bodies as they would be enqueued. */
const orderOf = (bodies: readonly JsonObject[], cascade = 'test'): number[] =>
  byPrefix(bodies.map((body, place) => ({ place, request: { cascade, body } }))).map(({ place }) => place);

const page = (documents: number, bodyOf: (at: number) => JsonObject): JsonObject[] =>
  Array.from({ length: documents }, (_, at) => bodyOf(at));

const GIVEN = (bodies: readonly JsonObject[]): number[] => [...bodies.keys()];

/** Eight long texts, about each of which four questions are asked; the file has the first question of all, then the next. */
const TEXTS = 8;
const QUESTIONS = page(32, (at) => said(words(`text ${at % TEXTS}`, 30_000) + words(`question ${at}`, 200)));

test('questions about one text come one after the other; the first of them before those of the text before', () => {
  // The second question about a text comes when three others were read in between.
  const begin = [0, 1, 2, 3].concat([8, 16, 24], [4], [9, 17, 25], [5], [10, 18, 26], [6], [11, 19, 27]);
  assert.deepEqual(orderOf(QUESTIONS), [...begin, 7, 12, 20, 28, 13, 21, 29, 14, 22, 30, 15, 23, 31]);
});

test('the first prompt of a prefix is so far before the second as a server may read in one go', () => {
  const bodies = page(256, (at) => said(words(`text ${at % 64}`, 12_000) + words(`question ${at}`, 200)));
  const order = orderOf(bodies);
  const places = new Map(order.map((place, at) => [place, at]));
  for (let text = 0; text < 64 - 6; text += 1) {
    const [first = 0, second = 0, last = 0] = [text, text + 64, text + 192].map((place) => places.get(place) ?? 0);
    const firstsBetween = order.slice(first + 1, second).filter((place) => place < 64).length;
    assert.ok(firstsBetween >= 5 && firstsBetween <= 6, `${text}: ${firstsBetween}`);
    assert.ok(last - second <= 3, 'and the others stand together');
  }
});

test('what all share before is no prefix of its own, and what they share as an image or as tools is', () => {
  const under = page(32, (at) => said(words('the system', 3_000), words(`text ${at % 8}`, 30_000) + `question ${at}`));
  /** Of each text the further questions come together, in the order of the texts. */
  const check = (bodies: readonly JsonObject[]): void => {
    const further = orderOf(bodies).filter((place) => place >= TEXTS);
    const together = Array.from({ length: TEXTS }, (_, text) => [text + TEXTS, text + 2 * TEXTS, text + 3 * TEXTS]);
    assert.deepEqual(further, together.flat());
  };
  check(under);
  const image = (at: number) => ({
    type: 'image_url',
    image_url: { url: `data:image/png;base64,${words(`${at}`, 30_000)}` },
  });
  const pictures = page(32, (at) => ({
    messages: [{ role: 'user', content: [image(at % 8), { type: 'text', text: `question ${at}` }] }],
  }));
  check(pictures);
  const tools = page(32, (at) => ({
    ...said(`question ${at}`),
    tools: [{ function: { name: words(`${at % 8}`, 30_000) } }],
  }));
  check(tools);
  const tokens = page(32, (at) => ({
    prompt: [...Array.from({ length: 8_000 }, (_, id) => id + 1_000 * (at % 8)), at],
  }));
  check(tokens);
  const inputs = page(32, (at) => ({ instructions: words(`text ${at % 8}`, 30_000), input: `question ${at}` }));
  check(inputs);
});

test('any other page keeps its order', () => {
  const header = `/9j/4AAQSkZJRgABAQ${'A'.repeat(900)}`;
  const others: Readonly<Record<string, JsonObject[]>> = {
    'nothing is shared': page(256, (at) => said(words(`document ${at}`, 4_000))),
    'all share one prefix': page(256, (at) => said(words('the system', 6_000), words(`document ${at}`, 1_000))),
    'all are equal': page(256, () => said(words('the same', 6_000))),
    'a few templates, which come again soon': page(256, (at) =>
      said(words(`template ${at % 8}`, 6_000), words(`document ${at}`, 1_000)),
    ),
    'short prefixes': page(256, (at) => said(words(`text ${at % 64}`, 900) + words(`question ${at}`, 100))),
    'together already': page(256, (at) => said(words(`text ${Math.floor(at / 4)}`, 12_000) + `question ${at}`)),
    'images that begin alike, as those of one program do': page(64, (at) => ({
      messages: [{ role: 'user', content: [{ type: 'input_image', image_url: header + words(`${at}`, 20_000) }] }],
    })),
    'no prompts at all': page(3, () => ({})),
    'one document': page(1, () => said('a')),
    'no document': [],
  };
  for (const [name, bodies] of Object.entries(others)) assert.deepEqual(orderOf(bodies), GIVEN(bodies), name);
});

test('prompts of two cascades are two prefixes, as each may have a text of its own before them', () => {
  const requests = QUESTIONS.map((body, place) => ({ place, request: { cascade: place % 2 === 0 ? 'a' : 'b', body } }));
  assert.deepEqual(
    byPrefix(requests).map(({ place }) => place),
    orderOf(QUESTIONS),
  );
});

test('every document is there once, whatever its body is', () => {
  const text = fc.tuple(fc.nat(3), fc.nat(40)).map(([name, pieces]) => words(`${name}`, pieces * 700));
  const body = fc.oneof(
    fc.array(text, { maxLength: 3 }).map((contents) => said(...contents)),
    fc.record({ messages: fc.jsonValue(), tools: fc.jsonValue() }) as fc.Arbitrary<JsonObject>,
  );
  fc.assert(
    fc.property(fc.array(body, { maxLength: 40 }), (bodies) => {
      assert.deepEqual(
        orderOf(bodies).toSorted((left, right) => left - right),
        GIVEN(bodies),
      );
    }),
    { numRuns: 200 },
  );
});

test('long equal prompts, deep bodies and long lists are no trouble', () => {
  const long = words('the same', 1_000_000);
  assert.deepEqual(orderOf(page(4, (at) => said(long + at))), [0, 1, 2, 3]);
  const deep = JSON.parse(`${'['.repeat(5_000)}"a"${']'.repeat(5_000)}`) as JsonObject[];
  assert.deepEqual(orderOf(page(3, () => ({ messages: deep }))), [0, 1, 2]);
  const list = Array.from({ length: 1_000_000 }, (_, at) => at);
  assert.deepEqual(orderOf(page(3, () => ({ prompt: list }))), [0, 1, 2]);
});
