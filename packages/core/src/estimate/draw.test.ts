import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runAtOnce } from '../text/slices.ts';
import { DocumentSizes } from './document-sizes.ts';
import { drawingPilot, shortened } from './draw.ts';

function sizesOf(characters: readonly number[], cascadeOf: (at: number) => string = () => 'a'): DocumentSizes {
  const sizes = new DocumentSizes();
  for (const [at, each] of characters.entries()) {
    const place = { document: at, offset: 10 * at, bytes: each, cascade: cascadeOf(at) };
    sizes.add({ ...place, characters: each, hasImage: false });
  }
  return sizes;
}

const draw = (sizes: DocumentSizes, most: number, key = 'k', rates: readonly number[] = [1]) =>
  runAtOnce(drawingPilot(sizes, rates, most, key));

test('a pilot is as many documents as asked for, each once, whatever their sizes', () => {
  const characters = fc.array(fc.oneof(fc.constant(0), fc.nat(1000), fc.nat(10_000_000)), { minLength: 1 });
  fc.assert(
    fc.property(characters, fc.integer({ min: 1, max: 20 }), fc.string(), fc.nat(3), (all, most, key, rate) => {
      const sizes = sizesOf(all);
      const { documents, population } = draw(sizes, most, key, [rate]);
      const count = Math.min(most, all.length);
      assert.equal(documents.length, count);
      assert.equal(new Set(documents.map(({ at }) => at)).size, count);
      assert.ok(documents.every(({ chance }) => chance > 0 && chance <= 1));
      assert.equal(
        population.characters,
        all.reduce((sum, one) => sum + one, 0),
      );
    }),
  );
});

test('each document stands for as many as it must, so that counts and sizes come out right', () => {
  const sizes = sizesOf(Array.from({ length: 2_000 }, (_, at) => 100 + (at % 37) * 50 + (at === 7 ? 400_000 : 0)));
  let [count, characters, sorted] = [0, 0, 0];
  const keys = 300;
  for (let key = 0; key < keys; key += 1) {
    const { documents, population } = draw(sizes, 40, `key ${key}`);
    count += documents.reduce((sum, { chance }) => sum + 1 / chance, 0) / population.documents;
    characters +=
      documents.reduce((sum, { at, chance }) => sum + sizes.charactersAt(at) / chance, 0) / population.characters;
    assert.ok(documents.some(({ at, chance }) => at === 7 && chance === 1));
    // A file may be sorted: its first half must be drawn from no more than its second.
    const others = documents.filter(({ at }) => at !== 7);
    sorted += others.filter(({ at }) => at < 1_000).length / others.length;
  }
  for (const mean of [count, characters, 2 * sorted]) assert.ok(Math.abs(mean / keys - 1) < 0.02, `${mean / keys}`);
});

test('the same key draws the same documents, another one others; and it is never a prefix', () => {
  const sizes = sizesOf(Array.from({ length: 1_000 }, () => 100));
  const places = (key: string) => draw(sizes, 50, key).documents.map(({ at }) => at);
  assert.deepEqual(places('a'), places('a'));
  assert.notDeepEqual(places('a'), places('b'));
  assert.ok(Math.max(...places('a')) > 800);
});

test('documents of a costly cascade are drawn before those of others, and of one without a price some are', () => {
  const sizes = sizesOf(
    Array.from({ length: 1_000 }, () => 100),
    (at) => (at % 100 === 0 ? 'dear' : 'cheap'),
  );
  assert.deepEqual(sizes.cascades, ['dear', 'cheap']);
  const count = (rates: readonly number[]): number =>
    draw(sizes, 50, 'k', rates).documents.filter(({ at }) => at % 100 === 0).length;
  assert.ok(count([1000, 1]) >= 8, `${count([1000, 1])}`);
  assert.ok(count([1, 0]) < 50);
});

test('of a pilot that broke off those that were drawn for sure still stand for themselves', () => {
  const sizes = sizesOf(Array.from({ length: 500 }, (_, at) => (at < 3 ? 1_000_000 : 100)));
  const { documents } = draw(sizes, 20);
  const sure = documents.filter(({ chance }) => chance === 1).length;
  assert.ok(sure >= 3);
  assert.equal(shortened(documents, sure - 1), null);
  const part = shortened(documents, sure + 5) ?? [];
  assert.equal(part.length, sure + 5);
  const worth = part.reduce((sum, { chance }) => sum + 1 / chance, 0);
  assert.ok(Math.abs(worth - 500) < 100, `${worth}`);
  assert.deepEqual(shortened(documents, 20), documents);
});

test('documents that are dropped are gone, and the others are where they were', () => {
  const sizes = sizesOf([1, 2, 3, 4, 5]);
  runAtOnce(sizes.dropping(Uint32Array.of(1, 3)));
  assert.equal(sizes.size, 3);
  assert.deepEqual(
    [0, 1, 2].map((at) => [sizes.at(at).document, sizes.at(at).offset, sizes.charactersAt(at)]),
    [
      [0, 0, 1],
      [2, 20, 3],
      [4, 40, 5],
    ],
  );
});
