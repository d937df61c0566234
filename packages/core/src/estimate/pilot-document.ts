import { nanoUsd, type Price } from '../accounting/price.ts';
import { stageOf, stageTier, type CascadeRules } from '../cascade/rules.ts';
import { isEscalated, passageOf, stagesOf, type Ending, type StageRecord } from '../document/ending.ts';
import type { CascadeDocument } from '../document/job.ts';
import { oneAnswerOf } from '../document/result.ts';
import { timesOf } from '../document/times.ts';
import type { PilotDocument } from './estimate.ts';

/** What is known of a drawn document beside what came of it. */
export type Drawing = Pick<PilotDocument, 'chance' | 'characters' | 'rate'>;

/** What a pilot's document took, stage by stage, as its end says it. */
export function pilotDocument(document: CascadeDocument, ending: Ending, drawing: Drawing): PilotDocument {
  const { rules } = document;
  const records = stagesOf(document, ending);
  const times = timesOf(passageOf(document, records));
  const wasAsked = (record: StageRecord | undefined): record is StageRecord =>
    record !== undefined && record.outcome !== 'skipped';
  const answered = records.findLastIndex(({ answer }) => answer !== null);
  const latest = records[answered];
  const one = latest === undefined ? null : oneAnswerOf(latest, stageOf(rules, answered));
  const first = records.findIndex(({ answer }) => answer !== null);
  const read = records[first];
  return {
    ...drawing,
    inputTokens: read === undefined ? null : oneAnswerOf(read, stageOf(rules, first)).inputTokens || null,
    stages: rules.stages.map(({ price }, stage) => {
      const record = records[stage];
      const tier = stageTier(rules, stage);
      if (!wasAsked(record))
        return { tier, isReached: false, nanoUsd: one === null ? 0 : nanoUsd(one, price), seconds: 0 };
      const seconds = (times.stages[stage]?.callMs ?? 0) / 1000;
      return { tier, isReached: true, nanoUsd: nanoUsd(record.usage, price), seconds };
    }),
    expertNanoUsd: one === null ? 0 : nanoUsd(one, stageOf(rules, rules.stages.length - 1).price),
    isEscalated: isEscalated(records),
  };
}

/** What a pilot's document has cost. */
export const costOf = ({ stages }: Pick<PilotDocument, 'stages'>): number =>
  stages.reduce((sum, { isReached, nanoUsd: own }) => (isReached ? sum + own : sum), 0);

/** What a cascade asks for a token read and one written by each of its stages: its price beside that of others. */
export const rateOf = ({ stages }: CascadeRules): number =>
  stages.reduce((sum, { price }) => sum + (price === null ? 0 : price.input + price.output), 0);

/** Hardly any text has fewer bytes to a token than this. */
const BYTES_PER_TOKEN = 3;
/** What an answer is taken to have at most whose request does not say. */
const ANSWER_TOKENS = 1_000;

/** What a document costs at most, as far as that can be said before it is asked: if it comes to every stage. */
export function mostNanoUsd(
  { stages }: { readonly stages: readonly { readonly price: Price | null }[] },
  { textBytes, answerTokens }: { readonly textBytes: number; readonly answerTokens: number | null },
): number {
  const inputTokens = textBytes / BYTES_PER_TOKEN;
  const tokens = { inputTokens, cachedTokens: 0, outputTokens: answerTokens ?? ANSWER_TOKENS };
  return stages.reduce((sum, { price }) => sum + nanoUsd(tokens, price), 0);
}
