import {
  estimateOf,
  maxNanoUsd,
  MAX_USD_KEY,
  type AimEstimate,
  type CascadeRules,
  type Drawn,
  type Estimate,
  type Expected,
  type LineError,
} from '@spillway/core';
import type { BatchEstimate, EstimatedRange } from '../schemas/estimate.ts';
import type { Checked, OrderedBatch } from './checked.ts';
import type { Pilot } from './pilot.ts';
import type { TimeAnswer } from './tiers.ts';

/** Without a pilot. English text has about four; other languages and code have fewer. */
const CHARACTERS_PER_TOKEN = 4;

/** What a dry run found out. */
export type Findings = {
  readonly batch: OrderedBatch;
  readonly checked: Checked;
  readonly rules: readonly CascadeRules[];
  readonly drawn: Drawn;
  /** Null: none was asked for, or it could not be run. */
  readonly pilot: Pilot | null;
  /** What comes of thresholds that are still to be found; null: all are fixed, or nothing says it. */
  readonly aim: AimEstimate | null;
  readonly time: TimeAnswer;
  readonly notes: readonly string[];
};

const listed = (errors: readonly LineError[]): BatchEstimate['errors'] =>
  errors.length === 0 ? null : { object: 'list', data: errors };

const documentsIn = ({ total, badLines, copies, cascades }: Checked): BatchEstimate['documents'] => ({
  total,
  bad_lines: badLines,
  copies,
  cascades: Object.fromEntries([...cascades].toSorted(([left], [right]) => (left < right ? -1 : 1))),
});

/** The answer for a batch that would fail. */
export const invalidEstimate = (checked: Checked): BatchEstimate => ({
  object: 'batch.estimate',
  valid: false,
  errors: listed(checked.errors),
  documents: documentsIn(checked),
  input_tokens: null,
  pilot: null,
  stages: null,
  escalated_share: null,
  cost_usd: null,
  all_expert_usd: null,
  seconds: null,
  notes: [],
});

/** The answer for a batch that would be run. */
export function estimateAnswer(findings: Findings): BatchEstimate {
  const { batch, checked, rules, drawn, pilot, aim, time, notes } = findings;
  const estimate = pilot === null ? null : estimateOf(pilot.documents, drawn.population, aim?.reach ?? null);
  const isPriced = rules.some(({ stages }) => stages.some(({ price }) => price !== null));
  const cap = maxNanoUsd(batch.metadata);
  const most = typeof cap === 'number' ? cap : Infinity;
  const priced = (range: Expected, how: string, upTo = Infinity): EstimatedRange | null =>
    isPriced
      ? rangeOf(
          mapped(range, (nanoUsd) => Math.min(nanoUsd, upTo) / 1e9),
          how,
        )
      : null;
  const count = pilot?.documents.length ?? 0;
  return {
    object: 'batch.estimate',
    valid: true,
    errors: null,
    documents: documentsIn(checked),
    input_tokens: tokensOf(findings, estimate),
    pilot: pilot === null ? null : pilotOf(pilot, isPriced),
    stages:
      estimate?.stages.map(({ stage, reached, share, nanoUsd }) => ({
        stage: stage + 1,
        share: rangeOf(share, aim === null ? shareHow(reached, count) : AIM_HOW),
        cost_usd: priced(
          nanoUsd,
          reached > 0 ? `${reached} answers of the pilot` : 'from the tokens of earlier stages',
        ),
      })) ?? null,
    escalated_share:
      estimate === null
        ? null
        : rangeOf(
            estimate.escalated,
            aim === null ? shareHow(pilot?.documents.filter((one) => one.isEscalated).length ?? 0, count) : AIM_HOW,
          ),
    cost_usd: estimate === null ? null : priced(estimate.nanoUsd, 'the sum of the stages', most),
    all_expert_usd: estimate === null ? null : priced(estimate.expertNanoUsd, 'from the answers of the pilot'),
    seconds: time.time === null ? null : secondsOf(time.time, pilot !== null),
    notes: [...notes, ...aimNotes(findings), ...time.notes, ...notesOf(findings, { estimate, isPriced, most })],
  };
}

const AIM_HOW = 'by thresholds that were found, as the batch will find them, in many draws of the pilot';

const shareHow = (marked: number, of: number): string =>
  `${marked} of ${of} documents of the pilot, by what each stands for`;

const significant = (value: number): number => Number(value.toPrecision(4));

const mapped = ({ low, likely, high }: Expected, change: (value: number) => number): Expected => ({
  low: change(low),
  likely: change(likely),
  high: change(high),
});

const rangeOf = ({ low, likely, high }: Expected, how: string): EstimatedRange => ({
  low: significant(low),
  high: significant(high),
  expected: significant(likely),
  how,
});

const secondsOf = (
  { low, likely, high }: NonNullable<TimeAnswer['time']>,
  isPiloted: boolean,
): BatchEstimate['seconds'] => ({
  low: significant(low),
  high: significant(high),
  expected: likely === null ? null : significant(likely),
  how: `by the workers that are there now, ${isPiloted ? 'and the pilot' : 'whatever share is escalated'}`,
});

const pilotOf = (
  { askedFor, documents, failed, nanoUsd, seconds }: Pilot,
  isPriced: boolean,
): BatchEstimate['pilot'] => ({
  asked_for: askedFor,
  documents: documents.length,
  escalated: documents.filter(({ isEscalated }) => isEscalated).length,
  failed,
  cost_usd: isPriced ? nanoUsd / 1e9 : null,
  seconds: Number(seconds.toFixed(2)),
});

function tokensOf({ drawn, checked }: Findings, estimate: Estimate | null): BatchEstimate['input_tokens'] {
  const { characters } = drawn.population;
  const known = estimate?.inputTokens ?? null;
  const { images, noText } = uncounted(checked);
  const whole = (value: number): number => Math.round(value);
  const expected = known?.likely ?? characters / CHARACTERS_PER_TOKEN;
  return {
    low: known === null ? null : whole(known.low),
    high: known === null ? null : whole(known.high),
    expected: whole(expected),
    characters,
    characters_per_token: expected > 0 ? significant(characters / expected) : CHARACTERS_PER_TOKEN,
    not_counted: { images, no_text: noText },
    how:
      known === null
        ? `${CHARACTERS_PER_TOKEN} characters are taken for a token; nobody counted any`
        : 'from the tokens that the first stage counted in the pilot, by the characters of each document',
  };
}

/** Documents of which not all that a model reads is counted. */
function uncounted({ sizes }: Checked): { readonly images: number; readonly noText: number } {
  let [images, noText] = [0, 0];
  for (let at = 0; at < sizes.size; at += 1) {
    if (sizes.hasImageAt(at)) images += 1;
    if (sizes.charactersAt(at) === 0) noText += 1;
  }
  return { images, noText };
}

/** What is to be known of thresholds that are still to be found. */
function aimNotes({ rules, aim, drawn }: Findings): string[] {
  return rules.flatMap((own): string[] => {
    if (own.aim === undefined) return [];
    if (aim === null) return ['The thresholds are found by a sample of the batch, which every stage answers first.'];
    const { sampled, certified } = aim;
    if (sampled === 0) return ['Nothing can be shown by a sample of so few documents: the expert answers all of them.'];
    const share = ((100 * sampled) / Math.max(1, drawn.population.documents)).toFixed(0);
    const often =
      certified === null
        ? ''
        : ` The promise was certified in ${Math.round(100 * certified)} of 100 draws of the pilot.`;
    return [
      `${sampled} documents (${share} %) are sampled first, and every stage answers them.${often}`,
      'In the pilot every stage wrote its whole answer: drafts that are stopped early, and answers that make use of drafts, cost less.',
    ];
  });
}

type Known = { readonly estimate: Estimate | null; readonly isPriced: boolean; readonly most: number };

function notesOf({ rules, pilot }: Findings, { estimate, isPriced, most }: Known): string[] {
  const unpriced = new Set(
    rules.flatMap(({ stages }) => stages.flatMap(({ model, price }) => (price === null ? [model] : []))),
  );
  const usd = (nanoUsd: number): string => `$${significant(nanoUsd / 1e9)}`;
  return [
    ...(pilot === null || !isPriced ? [] : ['The pilot is charged in any case, and is not part of cost_usd.']),
    ...(pilot?.brokeOff == null ? [] : [`The pilot ended early: ${pilot.brokeOff}`]),
    ...(pilot !== null && estimate === null ? ['Too few documents of the pilot were answered to estimate by.'] : []),
    ...(isPriced ? [] : ['cost_usd: none of the models has a price.']),
    ...(isPriced && unpriced.size > 0
      ? [`cost_usd: ${[...unpriced].join(', ')} has no price and counts nothing.`]
      : []),
    ...(estimate !== null && estimate.nanoUsd.high > most
      ? [
          `The batch may reach its ${MAX_USD_KEY} of ${usd(most)} and end there: whole it may cost ${usd(estimate.nanoUsd.high)}.`,
        ]
      : []),
  ];
}
