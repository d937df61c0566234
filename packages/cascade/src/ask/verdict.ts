import {
  insteadOfAnswer,
  isConfirmed,
  NO_USAGE,
  planVerdict,
  readVerdict,
  stageOf,
  VERDICT_TOP,
  type AskReason,
  type CascadeDocument,
  type OwnRequest,
  type Verdict,
} from '@spillway/core';
import type { Asked, AttemptOptions, ExtraAnswer } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { askWhole, type Calls } from './whole.ts';

/**
 * `ask: verdict`: the model says in one token whether the draft of the stages before is right. It is final where the
 * model is sure enough of that; otherwise, and wherever that cannot be asked, the model answers the document by itself.
 */
export async function askVerdict(
  model: StageModel,
  document: CascadeDocument,
  options: AttemptOptions,
): Promise<Asked> {
  const { job, rules } = document;
  const { verdict: rule } = stageOf(rules, job.stage);
  if (rule === undefined) throw new Error('a stage that asks for a verdict has a rule for it');
  const whole = (reason: AskReason, calls?: Calls): Promise<Asked> =>
    askWhole(model, document, options, calls === undefined ? { reason } : { reason, calls });
  const plan = planVerdict({ job, prepared: model.prepared(job), findings: model.findings });
  if (plan.kind === 'answer') return await whole(plan.reason);
  if (model.verdicts.isOpen(Date.now())) return await whole('verdict_paused');

  const { stage, request } = plan;
  const purpose = 'verdict';
  const asked = { ...request, purpose, index: 0 } as const;
  const said = await model.askExtra(job, { ...options, topLogprobs: VERDICT_TOP }, asked);
  // A server that breaks by it breaks for every document: each would be asked about twice.
  if (said.kind === 'unproven') model.verdicts.noteFailed(said.reason, Date.now());
  if (!('call' in said)) return said;
  const verdict = said.kind === 'answered' ? readVerdict(said.completion, rule, stage) : null;
  if (said.kind === 'failed' || verdict === null) {
    model.verdicts.noteFailed(whyNot(said), Date.now());
    return await whole('verdict_failed', callsOf(said));
  }
  model.verdicts.noteUsed();
  if (!isConfirmed(verdict, rule, rules)) return await refused(model, document, { options, verdict, said });
  return confirmed(model, document, { verdict, request, said });
}

type Said = Extract<ExtraAnswer, { kind: 'answered' }>;

/** Why a call brought no verdict. */
function whyNot(said: Extract<ExtraAnswer, { kind: 'answered' | 'failed' }>): string {
  if (said.kind === 'failed') return said.call.error?.message ?? 'no answer';
  return said.completion.tokens === null ? 'no log-probs' : 'neither yes nor no';
}

/** The calls of an attempt as far as its verdict. */
function callsOf(said: Extract<ExtraAnswer, { kind: 'answered' | 'failed' }>): Calls {
  const usage = said.kind === 'answered' ? said.completion.usage : NO_USAGE;
  return { extra: [said.call], usage };
}

/** The draft is final. */
function confirmed(
  model: StageModel,
  { job }: CascadeDocument,
  { verdict, request, said }: { readonly verdict: Verdict; readonly request: OwnRequest; readonly said: Said },
): Asked {
  const { usage } = said.completion;
  const spared = insteadOfAnswer(job, verdict, { request, usage });
  const instead = { ...spared, ms: model.writing.msOf(spared.outputTokens) };
  const { startedAtMs, endedAtMs } = said.call;
  const how = { kind: 'verdict', ...verdict, instead } as const;
  return { kind: 'confirmed', how, usage, extra: [said.call], startedAtMs, endedAtMs };
}

/** The model is not sure of the draft, or a shadow run wants to know what it says itself. */
async function refused(
  model: StageModel,
  document: CascadeDocument,
  { options, verdict, said }: { readonly options: AttemptOptions; readonly verdict: Verdict; readonly said: Said },
): Promise<Asked> {
  const asked = await askWhole(model, document, options, { reason: null, calls: callsOf(said) });
  const own = asked.kind === 'answered' ? asked.extra?.at(-1) : undefined;
  if (asked.kind !== 'answered' || own === undefined) return asked;
  const { inputTokens, outputTokens, startedAtMs, endedAtMs } = own;
  const instead = { inputTokens, outputTokens, ms: Math.max(0, endedAtMs - startedAtMs) };
  return { ...asked, how: { kind: 'verdict', ...verdict, instead } };
}
