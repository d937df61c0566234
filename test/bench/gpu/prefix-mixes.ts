import { byPrefix, seededRandom, type JsonObject } from '@spillway/core';
import { answerTokens } from './answers.ts';
import { Engine, type EngineSpec, type Work } from './engine.ts';
import { blocksOf, textOf, tokensOf } from './prompt.ts';

const SEED = 1;

/** What a page has at most. */
const PAGE = { documents: 256, characters: 4 * 1024 * 1024 };

const words = (name: string, characters: number): string => `${name} `.padEnd(characters, `words of ${name}, `);

/** The messages of a document by its place in the file. */
type Mix = (at: number, random: () => number) => readonly string[];

/** Questions to each of 64 texts; the next 256 documents are about others. */
const text = (at: number, characters: number): string =>
  words(`text ${(at % 64) + 64 * Math.floor(at / 256)}`, characters);

const question = (at: number): string => words(`question ${at}`, 200);

/** Files whose documents share prefixes, or none: what the order of a page is worth differs between them. */
export const MIXES = {
  'four questions to each of 64 texts of 3,000 tokens, first of all the first ones': (at) => [
    text(at, 12_000) + question(at),
  ],
  'the same in a random order': (at, random) => [
    words(`text ${Math.floor(random() * 64) + 64 * Math.floor(at / 256)}`, 12_000) + question(at),
  ],
  'the same under one system message': (at) => [words('the system', 2_000), text(at, 12_000) + question(at)],
  'the same, text by text': (at) => [words(`text ${Math.floor(at / 4)}`, 12_000) + question(at)],
  '64 templates of 3,000 tokens in turn, in every page': (at) => [words(`template ${at % 64}`, 12_000), question(at)],
  '8 templates of 1,500 tokens in turn': (at) => [words(`template ${at % 8}`, 6_000), words(`document ${at}`, 1_000)],
  '8 templates of 1,500 tokens in a random order': (at, random) => [
    words(`template ${Math.floor(random() * 8)}`, 6_000),
    words(`document ${at}`, 1_000),
  ],
  'one system message of 1,500 tokens': (at) => [words('the system', 6_000), words(`document ${at}`, 1_000)],
  'nothing shared, 1,750 tokens': (at) => [words(`document ${at}`, 7_000)],
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

export function contentsOf(name: MixName, documents: number): (readonly string[])[] {
  const random = seededRandom(SEED);
  const mix: Mix = MIXES[name];
  return Array.from({ length: documents }, (_, at) => mix(at, random));
}

export const bodyOf = (contents: readonly string[]): JsonObject => ({
  messages: contents.map((content, at) => ({ role: at + 1 < contents.length ? 'system' : 'user', content })),
});

/** The order in which a file's documents are enqueued, page by page. */
export function enqueued(bodies: readonly JsonObject[]): number[] {
  const pages: { at: number; request: { cascade: string; body: JsonObject } }[][] = [];
  let characters = Infinity;
  for (const [at, body] of bodies.entries()) {
    const own = JSON.stringify(body).length;
    if ((pages.at(-1)?.length ?? Infinity) >= PAGE.documents || characters + own > PAGE.characters) {
      pages.push([]);
      characters = 0;
    }
    characters += own;
    pages.at(-1)?.push({ at, request: { cascade: 'test', body } });
  }
  return pages.flatMap((page) => byPrefix(page).map(({ at }) => at));
}

/** How long a server takes, and which share of the prompts' tokens it has from its cache. */
export type Served = { readonly ms: number; readonly cached: number };

export function worksOf(bodies: readonly JsonObject[], { blockTokens }: EngineSpec): Work[] {
  return bodies.map((body, id) => {
    const said = textOf(body);
    const outputTokens = answerTokens({ seed: SEED, role: 'drafter' }, said);
    return { id, promptTokens: tokensOf(said), blocks: blocksOf(said, blockTokens), outputTokens };
  });
}

/** One server that is given requests in an order, as fast as it takes them. */
export function serve(spec: EngineSpec, works: readonly Work[], order: readonly number[]): Served {
  const engine = new Engine(spec);
  engine.submit(
    order.flatMap((at) => works[at] ?? []),
    0,
  );
  let [ms, cached] = [0, 0];
  while (engine.nextMs !== null) {
    for (const { isFinished, atMs, cachedTokens } of engine.advance(engine.nextMs)) {
      if (!isFinished) continue;
      ms = atMs;
      cached += cachedTokens;
    }
  }
  return { ms, cached: cached / works.reduce((sum, { promptTokens }) => sum + promptTokens, 0) };
}
