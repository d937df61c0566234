import { seededRandom } from '@spillway/core';
import { answerTokens, isUnsure, normal } from '../gpu/answers.ts';
import { textOf, tokensOf } from '../gpu/prompt.ts';
import { PUBLISHED } from '../gpu/published.ts';
import type { Stats } from '../gpu/server.ts';
import { boundMs, floorMs, makespanMs, type Known } from '../gpu/simulation.ts';
import { median, type Figure, type Pair } from '../figure.ts';
import { startGpu, type Started } from '../processes.ts';
import { type Run } from '../run.ts';
import { secondsOf, startSystem, submitMany } from '../service.ts';

const SEED = 1;
const UNSURE_SHARE = 0.25;
const DRAFTER = 'llama-8b-h100';
const EXPERT = 'llama-70b-4xh100';

/** More calls than the servers' batches have places, so that some wait in the servers' own queues. */
const CONCURRENCY = 320;

/** Characters of a document: business documents of two pages, some of many. */
const CHARACTERS = { median: 4_000, spread: 0.5, most: 24_000 };

/** Documents that begin differently, so that none has a prefix of another's. */
function documentsOf(count: number, round: number): string[] {
  const random = seededRandom(SEED + round);
  return Array.from({ length: count }, (_, at) => {
    const characters = Math.min(CHARACTERS.most, CHARACTERS.median * Math.exp(CHARACTERS.spread * normal(random)));
    return `${round}-${at} `.padEnd(Math.round(characters), 'a document as they come, with words ');
  });
}

/** What the simulation must know of a document: just what the servers will make of it. */
function known(content: string): Known {
  const promptTokens = tokensOf(textOf({ messages: [{ role: 'user', content }] }));
  const work = (role: 'drafter' | 'expert') => ({
    promptTokens,
    blocks: [],
    outputTokens: answerTokens({ seed: SEED, role }, content),
  });
  const isEscalated = isUnsure({ seed: SEED, unsureShare: UNSURE_SHARE }, content);
  return { draft: work('drafter'), expert: isEscalated ? work('expert') : null };
}

/** What a server has done since it was asked last. */
const statsOf = async ({ port }: Started): Promise<Stats> =>
  (await (await fetch(`http://127.0.0.1:${port}/stats`)).json()) as Stats;

/** Where the time of a round went that the servers did not work, in seconds. */
type Lost = { readonly beforeFirstCall: number; readonly drafterIdle: number; readonly afterLastAnswer: number };

function lostOf(startedMs: number, endedMs: number, drafter: Stats, expert: Stats): Lost {
  const [firstMs, lastMs] = [drafter.firstCallMs ?? endedMs, drafter.lastAnswerMs ?? endedMs];
  return {
    beforeFirstCall: (firstMs - startedMs) / 1_000,
    drafterIdle: (lastMs - firstMs - drafter.busyMs) / 1_000,
    afterLastAnswer: (endedMs - Math.max(lastMs, expert.lastAnswerMs ?? 0)) / 1_000,
  };
}

/**
 * From a batch's creation to its end on GPU-like servers, against the best schedule that a simulation of the same servers
 * finds with all outcomes known and nothing between the two. Servers run `speed` times as fast as real ones, which makes
 * whatever the service itself takes weigh so much more.
 */
export async function measureMakespan(run: Run): Promise<Figure[]> {
  const env = { SEED: String(SEED), UNSURE_SHARE: String(UNSURE_SHARE), SPEED: String(run.speed) };
  using drafter = await startGpu({ ...env, ROLE: 'drafter', SPEC: DRAFTER });
  using expert = await startGpu({ ...env, ROLE: 'expert', SPEC: EXPERT });
  await using system = await startSystem({ drafter, expert }, CONCURRENCY);
  // No document shares a prefix with another, so what the servers' caches hold makes no difference.
  const cascade = {
    drafter: { ...PUBLISHED[DRAFTER], cacheBlocks: 0 },
    expert: { ...PUBLISHED[EXPERT], cacheBlocks: 0 },
  };
  const figures: Figure[] = [];
  const sizes = [
    { documents: run.isQuick ? 200 : 2_000, aim: { atMost: 1.06 } },
    { documents: run.isQuick ? 500 : 20_000, aim: { atMost: 1.02 } },
  ];
  for (const { documents, aim } of sizes) {
    const rounds: Pair[] = [];
    const floors: number[] = [];
    const unknowing: number[] = [];
    const lost: Lost[] = [];
    for (let round = 0; round < run.rounds; round += 1) {
      const texts = documentsOf(documents, round);
      const all = texts.map(known);
      const bestMs = boundMs(cascade, all, SEED + round);
      floors.push(bestMs / floorMs(cascade, all));
      unknowing.push(makespanMs(cascade, all, all.keys().toArray()) / bestMs);
      const reference = bestMs / 1_000 / run.speed;
      const id = await submitMany(system, documents, (index) => texts[index] ?? '');
      const startedMs = Date.now();
      await Promise.all([statsOf(drafter), statsOf(expert)]);
      const measured = await secondsOf(system, id);
      lost.push(lostOf(startedMs, Date.now(), await statsOf(drafter), await statsOf(expert)));
      rounds.push({ measured, reference });
      run.tell(`round ${round + 1} of ${run.rounds}: ${measured.toFixed(2)} s, bound ${reference.toFixed(2)} s`);
    }
    figures.push({
      figure: `makespan of ${documents.toLocaleString('en-US')} documents`,
      reference: 'the best schedule found with all outcomes known',
      unit: 's',
      rounds,
      aim,
      notes: [
        `of the measured ${median(lost.map((one) => one.beforeFirstCall)).toFixed(2)} s passed before the first call, ` +
          `${median(lost.map((one) => one.afterLastAnswer)).toFixed(2)} s after the last answer, and for ` +
          `${median(lost.map((one) => one.drafterIdle)).toFixed(2)} s between them the drafter's server had nothing to do`,
        `${DRAFTER} and ${EXPERT} at ${run.speed} times their speed`,
        `the bound is ${median(floors).toFixed(3)} × the busier server's bare work; ` +
          `the order in which documents come, with nothing between the servers, ${median(unknowing).toFixed(3)} × the bound`,
      ],
    });
  }
  return figures;
}
