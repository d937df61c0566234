import { z } from 'zod';
import { SIGNALS, type SignalName } from '../confidence/index.ts';
import type { Configuration } from '../config.ts';
import type { AskKind } from './ask.ts';
import type { Role } from './tier.ts';

const yesOrNo = z.boolean().nullable();

/** How a server says how likely a given answer is: its field, or that it does not. */
const scoring = z.enum(['prompt_logprobs', 'echo', 'no']);

/** What comes back when a server goes on with a given answer: only what is new, or the given part with it. */
const continuation = z.enum(['new_text', 'whole_text', 'no']);

/**
 * What the check of a model found, as it stands in Redis and is shown in the terminal; null: not known.
 * Keys may be added, and are then optional: processes of two versions write and read it side by side.
 */
export const modelFindings = z.object({
  reachable: z.boolean().meta({ description: 'The server answers, whatever it says.' }),
  known: yesOrNo.meta({ description: 'It knows the model by its configured name.' }),
  ms: z.int().min(0).nullable().meta({ description: 'Milliseconds of a call of a few tokens.' }),
  log_probs: yesOrNo,
  alternatives: yesOrNo.meta({ description: 'Likely other tokens beside each one (`top_logprobs`).' }),
  streamed_log_probs: yesOrNo,
  scoring: scoring.nullable().meta({ description: 'How a given answer is scored.' }),
  prompt_ids: z.boolean().optional().meta({
    description:
      'It says which tokens a chat becomes, and scores those by their echo; absent: it does not, or is not known to.',
  }),
  continuation: continuation.nullable().meta({ description: 'What comes back when a given answer is continued.' }),
  reasons: z.boolean().optional().meta({ description: 'It thinks before it answers; absent: it was not seen to.' }),
  json_mode: yesOrNo.meta({ description: '`response_format: {"type": "json_object"}` is kept to.' }),
  refused: z
    .array(z.string())
    .readonly()
    .meta({ description: 'Fields that the server answers with an error, such as `logprobs` or `max_tokens`.' }),
  said: z.string().optional().meta({ description: 'What the server said when it refused log-probs or alternatives.' }),
  problem: z.string().nullable().meta({ description: 'Why the model cannot be asked; null: it can.' }),
});

export type ModelFindings = z.output<typeof modelFindings>;

/** Before anything was asked. */
export const NOTHING_FOUND: ModelFindings = {
  reachable: false,
  known: null,
  ms: null,
  log_probs: null,
  alternatives: null,
  streamed_log_probs: null,
  scoring: null,
  continuation: null,
  json_mode: null,
  refused: [],
  problem: null,
};

/** Findings with the time at which they were made, in Unix milliseconds. */
export const datedFindings = z.object({ atMs: z.number(), found: modelFindings });

export type DatedFindings = z.output<typeof datedFindings>;

/** The signals by which a model's answers are judged. */
export function signalsOf(cascades: Configuration['cascades'], model: string): SignalName[] {
  const judges = Object.values(cascades).flatMap(({ stages }) =>
    stages.flatMap(({ model: own, judge }) => (own === model && judge !== null ? [judge.confidence.signal.name] : [])),
  );
  return [...new Set(judges)];
}

/** How a model is asked in a role, beside being just asked for its answer. */
export function asksOf(cascades: Configuration['cascades'], model: string, role: Role): AskKind[] {
  const asks = Object.values(cascades).flatMap(({ stages }) =>
    stages.flatMap((stage) =>
      stage.model === model && stage.ask !== 'answer' && (stage.judge === null) === (role === 'expert')
        ? [stage.ask]
        : [],
    ),
  );
  return [...new Set(asks)];
}

/** What a server lacks for how its model is to be asked, so that it is asked for whole answers; null: nothing. */
export function askLackOf(found: ModelFindings, asks: readonly AskKind[]): string | null {
  const judgesDrafts = asks.includes('verify') || asks.includes('verdict');
  if (found.reasons === true && judgesDrafts) return 'the model thinks before it answers, and drafts show no thought';
  if (asks.includes('verdict') && found.log_probs === false) {
    return 'the server gives no log-probs: without them nobody knows how sure a verdict is';
  }
  return asks.includes('verify') ? verifyLackOf(found) : null;
}

function verifyLackOf(found: ModelFindings): string | null {
  const { scoring: scores, continuation: goesOn } = found;
  if (scores === 'no') return 'the server does not say how likely a given answer is (prompt_logprobs, echo)';
  if (scores === 'prompt_logprobs' && goesOn === 'no') return 'the server does not go on with a given answer';
  if (scores === 'echo' && found.prompt_ids !== true)
    return 'the server scores completions only (echo), not chat completions';
  return null;
}

const needLogprobs = (signals: readonly SignalName[]): SignalName[] =>
  signals.filter((name) => SIGNALS[name].needs !== 'samples');

const needAlternatives = (signals: readonly SignalName[]): SignalName[] =>
  signals.filter((name) => SIGNALS[name].topLogprobs > 0);

/**
 * What a server lacks for the signals by which its answers are judged, so that every document would escalate; null:
 * nothing, or it is not known.
 */
export function lackOf(found: ModelFindings, signals: readonly SignalName[]): string | null {
  const said = found.said === undefined ? '' : ` (${found.said})`;
  const isRefused = (field: string): boolean => found.refused.includes(field);
  const lacking = (what: string, needing: readonly SignalName[]): string =>
    `the server ${what}: without them ${needing.join(', ')} cannot judge a draft`;
  const [byLogprobs, byAlternatives] = [needLogprobs(signals), needAlternatives(signals)];
  if (found.log_probs === false && byLogprobs.length > 0) {
    return lacking(isRefused('logprobs') ? `refuses log-probs${said}` : 'gives no log-probs', byLogprobs);
  }
  if (found.alternatives === false && byAlternatives.length > 0) {
    const lack = isRefused('top_logprobs') ? `refuses alternatives${said}` : 'gives no alternatives (top_logprobs)';
    return lacking(lack, byAlternatives);
  }
  return null;
}

/** Whether a model does what is wanted of it: it can be asked, and the answers that are judged can be judged. */
export function isFit(found: ModelFindings, signals: readonly SignalName[]): boolean {
  if (!found.reachable || found.known !== true || found.problem !== null) return false;
  return lackOf(found, signals) === null && (found.log_probs === true || needLogprobs(signals).length === 0);
}
