import { runAtOnce, DocumentSizes, drawingPilot, estimateOf, type Estimate, type PilotDocument } from '@spillway/core';

/** A batch that is simulated: what its documents take, and how many a pilot draws. */
export type World = {
  readonly documents: number;
  readonly pilot: number;
  /** Of the logarithm of a document's characters; and the share of large ones, which are so many times as large. */
  readonly sizeSpread: number;
  readonly large: number;
  readonly largeTimes: number;
  /** Of the logarithm of an answer's tokens, and how far they grow with the document: 0 not at all, 1 as it does. */
  readonly answerSpread: number;
  readonly answerGrowth: number;
  /** What an expert writes beside a drafter. */
  readonly expertWords: number;
  readonly escalated: number;
  /** How much more likely large documents are escalated, in log odds for each factor e. */
  readonly escalatedBySize: number;
  readonly stages: number;
  readonly cascades: number;
  readonly priceFactor: number;
  /** The models answer otherwise when they are asked again. */
  readonly isWarm: boolean;
};

type Random = () => number;

const within = (random: Random, low: number, high: number): number => low + (high - low) * random();
const pick = <Item>(random: Random, items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;

export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export function worldOf(random: Random): World {
  return {
    documents: Math.round(Math.exp(within(random, Math.log(60), Math.log(6_000)))),
    pilot: pick(random, [20, 50, 50, 50, 100, 200]),
    sizeSpread: within(random, 0.1, 1.2),
    large: pick(random, [0, 0, 0.002, 0.01, 0.05]),
    largeTimes: within(random, 10, 300),
    answerSpread: within(random, 0.1, 1),
    answerGrowth: pick(random, [0, 0, 0.5, 1]),
    expertWords: Math.exp(within(random, Math.log(0.5), Math.log(5))),
    escalated: pick(random, [0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 0.98]),
    escalatedBySize: pick(random, [0, 0, 0.5, -0.5]),
    stages: pick(random, [2, 2, 2, 3]),
    cascades: pick(random, [1, 1, 1, 2]),
    priceFactor: Math.exp(within(random, Math.log(3), Math.log(50))),
    isWarm: random() < 0.5,
  };
}

type Price = { readonly input: number; readonly output: number };

type Asked = {
  readonly reached: number;
  readonly nanoUsd: readonly number[];
  readonly expertNanoUsd: number;
  readonly inputTokens: number;
};

/** Of each document of a world what it takes when it is asked, once and for all or anew each time. */
class Documents {
  readonly characters: number[] = [];
  readonly cascades: number[] = [];
  readonly prices: (readonly Price[])[];
  readonly #world: World;
  readonly #random: Random;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    const base = [0.05, 0.2];
    this.prices = Array.from({ length: world.cascades }, (_, cascade) =>
      Array.from({ length: world.stages }, (_price, stage) => {
        const times = world.priceFactor ** (stage / (world.stages - 1)) * (1 + 3 * cascade);
        return { input: (base[0] ?? 0) * times, output: (base[1] ?? 0) * times };
      }),
    );
    for (let at = 0; at < world.documents; at += 1) {
      const large = random() < world.large ? world.largeTimes : 1;
      this.characters.push(Math.round(Math.min(1e6, 600 * large * Math.exp(world.sizeSpread * normal(random)))));
      this.cascades.push(random() < 0.2 ? world.cascades - 1 : 0);
    }
  }

  /** Rates as the API makes them: what the stages ask for a token in and a token out. */
  get rates(): number[] {
    return this.prices.map((stages) => stages.reduce((sum, { input, output }) => sum + input + output, 0));
  }

  ask(at: number): Asked {
    const { answerSpread, answerGrowth, expertWords, escalated, escalatedBySize, stages } = this.#world;
    const random = this.#random;
    const characters = this.characters[at] ?? 0;
    const size = Math.log(Math.max(1, characters) / 600);
    const odds = Math.log(escalated / (1 - escalated)) + escalatedBySize * size;
    const inputTokens = Math.round(20 + (characters / 4) * Math.exp(0.08 * normal(random)));
    const words = 80 * Math.exp(answerGrowth * size + answerSpread * normal(random));
    let reached = 0;
    while (reached < stages - 1 && random() < 1 / (1 + Math.exp(-odds))) reached += 1;
    const prices = this.prices[this.cascades[at] ?? 0] ?? [];
    const costs = prices.map(({ input, output }, stage) => {
      const isKnown = stage <= reached;
      const own = stage === stages - 1 && isKnown ? expertWords * Math.exp(0.3 * normal(random)) : 1;
      return 1000 * (inputTokens * input + words * own * output);
    });
    const nanoUsd = costs.map(Math.round);
    return { reached, nanoUsd, expertNanoUsd: nanoUsd.at(-1) ?? 0, inputTokens };
  }
}

/** A simulated batch: what a pilot of it said, and what it cost in the end. */
export type Run = {
  readonly world: World;
  readonly estimate: Estimate;
  readonly nanoUsd: number;
  readonly escalated: number;
};

const spentOn = ({ reached, nanoUsd }: Asked): number =>
  nanoUsd.slice(0, reached + 1).reduce((sum, one) => sum + one, 0);

export function runWorld(world: World, random: Random, key: string): Run {
  const documents = new Documents(world, random);
  const sizes = new DocumentSizes();
  for (const [at, characters] of documents.characters.entries()) {
    const cascade = `c${documents.cascades[at]}`;
    sizes.add({ document: at, offset: 0, bytes: characters, characters, hasImage: false, cascade });
  }
  const rates = sizes.cascades.map((name) => documents.rates[Number(name.slice(1))] ?? 0);
  const { population, documents: drawn } = runAtOnce(drawingPilot(sizes, rates, world.pilot, key));
  const once = Array.from({ length: world.documents }, (_, at) => documents.ask(at));
  const pilot = drawn.map(({ at, chance }): PilotDocument => {
    const { reached, nanoUsd, expertNanoUsd, inputTokens } = once[at] as Asked;
    return {
      chance,
      characters: sizes.charactersAt(at),
      rate: rates[sizes.cascadeAt(at)] ?? 0,
      inputTokens,
      stages: nanoUsd.map((cost, stage) => ({
        tier: String(stage),
        isReached: stage <= reached,
        nanoUsd: cost,
        seconds: 0,
      })),
      expertNanoUsd,
      isEscalated: reached > 0,
    };
  });
  const estimate = estimateOf(pilot, population);
  if (estimate === null) throw new Error('a pilot of no documents');
  const final = world.isWarm ? once.map((_, at) => documents.ask(at)) : once;
  return {
    world,
    estimate,
    nanoUsd: final.reduce((sum, one) => sum + spentOn(one), 0),
    escalated: final.filter(({ reached }) => reached > 0).length / world.documents,
  };
}
