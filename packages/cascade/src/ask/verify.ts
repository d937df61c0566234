import {
  continuationRequest,
  cutToLimit,
  ENDPOINTS,
  fitsFormat,
  idsRequest,
  isWorthContinuing,
  joinAnswer,
  joinedBody,
  keptPrefix,
  limitOf,
  planVerify,
  promptIdsOf,
  promptOf,
  readIdScores,
  readScores,
  scoringRequest,
  stageOf,
  stopIn,
  stopsOf,
  type AskReason,
  type CascadeDocument,
  type Completion,
  type HowAsked,
  type JsonObject,
  leftTokens,
  type KeepRule,
  type KeptPrefix,
  type OwnRequest,
  type ReadScores,
  type ScoredToken,
  type TokenLogprob,
  type Usage,
  type VerifyPlan,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Asked, AttemptOptions, ExtraAnswer, ExtraRequest } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { AttemptCalls, shownUsage, type AnsweredCall } from './calls.ts';
import { askWhole } from './whole.ts';

/**
 * `ask: verify`: the model scores the draft of the stages before in one pass, keeps what it would have written itself,
 * and goes on from there. What cannot be verified, or not be joined for sure, is asked for whole.
 */
export async function askVerify(model: StageModel, document: CascadeDocument, options: AttemptOptions): Promise<Asked> {
  const { job, rules } = document;
  const { tolerance = null } = stageOf(rules, job.stage);
  const whole = (reason: AskReason): Promise<Asked> => askWhole(model, document, options, { reason });
  if (options.onEvent !== undefined) return await whole('answer_streamed');
  const prepared = model.prepared(job);
  const plan = planVerify({ job, prepared, tolerance, findings: model.findings });
  if (plan.kind === 'answer') return await whole(plan.reason);
  if (model.drafts.isOpen(Date.now())) return await whole('drafts_paused');
  const calls = new AttemptCalls(model, document, options);
  return await new Verification(model, document, calls, { plan, prepared, tolerance }).run();
}

type Planned = {
  readonly plan: Extract<VerifyPlan, { kind: 'verify' }>;
  readonly prepared: JsonObject;
  readonly tolerance: number | null;
};

/** What is known of a draft once it was scored. */
type Scored = {
  readonly kind: 'scored';
  readonly tokens: readonly ScoredToken[];
  readonly kept: KeptPrefix;
  /** The answer to the scoring, whose one token comes after the draft. */
  readonly after: AnsweredCall;
  /** Tokens of the request itself, without the draft. */
  readonly inputTokens: number;
};

/** One document's draft on its way through scoring and continuation. */
class Verification {
  readonly #model: StageModel;
  readonly #document: CascadeDocument;
  readonly #calls: AttemptCalls;
  readonly #planned: Planned;

  constructor(model: StageModel, document: CascadeDocument, calls: AttemptCalls, planned: Planned) {
    this.#model = model;
    this.#document = document;
    this.#calls = calls;
    this.#planned = planned;
  }

  async run(): Promise<Asked> {
    const scored = await this.#score();
    if (scored.kind !== 'scored') return scored;
    const { draft } = this.#planned.plan;
    const { kept, after } = scored;
    const limit = limitOf(this.#planned.prepared);
    const cut = cutToLimit(draft.text, scored.tokens, kept, limit);
    const end = stopIn(cut?.text ?? kept.text, stopsOf(this.#planned.prepared));
    if (end !== null) return await this.#ended(scored, end);
    if (cut !== null) return this.#answered(scored, { ...cut, finishReason: 'length', written: null });
    if (kept.isWhole && draft.isWhole && endsThere(after.completion))
      return await this.#ended(scored, kept.text.length);
    if (!isWorthContinuing(kept.text, this.#format)) return await this.#calls.whole('nothing_kept');
    return await this.#continue(scored, leftTokens(limit, kept.tokens));
  }

  /** The draft stands as far as a place in it, and is the answer, if it is what the request asks for. */
  async #ended(scored: Scored, end: number): Promise<Asked> {
    const text = scored.kept.text.slice(0, end);
    const format = this.#format;
    // The model was asked without the format, so it may agree with a draft that it would not have been allowed.
    if (format !== null && !(await runSliced(fitsFormat(text, format)))) return await this.#calls.whole('not_joined');
    const tokens = scored.tokens.reduce((sum, part) => (part.to <= end ? sum + part.tokens : sum), 0);
    return this.#answered(scored, { text, tokens, finishReason: 'stop', written: null });
  }

  get #format() {
    const { endpoint, body } = this.#document.job;
    return ENDPOINTS[endpoint].format(body);
  }

  async #score(): Promise<Scored | Asked> {
    const { plan, tolerance, prepared } = this.#planned;
    const { draft, scoring } = plan;
    const request = scoringRequest(this.#document.job, draft.text, { scoring, tolerance });
    const after = await this.#call('scoring', request);
    if (after.kind === 'failed')
      return await this.#calls.failed('scoring_failed', after.call.error?.message ?? 'no answer');
    if (after.kind !== 'answered') return after;
    const scores = await (scoring === 'prompt_ids'
      ? this.#scoresByIds(after)
      : runSliced(readScores(after.body, scoring, draft.text, promptOf(prepared))));
    if (scores.kind === 'unreadable') return await this.#calls.failed('scoring_failed', scores.why);
    if (scores.kind !== 'scored') return scores;
    const rule: KeepRule = tolerance === null ? { exact: true } : { tolerance };
    const kept = keptPrefix(draft.text, scores.tokens, rule);
    const inputTokens = Math.max(0, after.completion.usage.inputTokens - kept.draftTokens);
    return { kind: 'scored', tokens: scores.tokens, kept, after, inputTokens };
  }

  /** Asks how likely the tokens are that the server has made of the request and the draft behind it. */
  async #scoresByIds(told: AnsweredCall): Promise<ReadScores | Asked> {
    const ids = promptIdsOf(told.body);
    if (ids === null) return { kind: 'unreadable', why: 'no ids of the prompt’s tokens' };
    const echo = await this.#call('scoring', { ...idsRequest(ids), endpoint: '/v1/completions' });
    if (echo.kind === 'failed') return { kind: 'unreadable', why: echo.call.error?.message ?? 'no answer' };
    if (echo.kind !== 'answered') return echo;
    return await runSliced(readIdScores(echo.body, ids.length, this.#planned.plan.draft.text));
  }

  async #continue(scored: Scored, maxTokens: number | null): Promise<Asked> {
    const { job } = this.#document;
    const { kept } = scored;
    const written = await this.#call('continuation', continuationRequest(job, kept.text, maxTokens));
    if (written.kind === 'failed')
      return await this.#calls.failed('not_joined', written.call.error?.message ?? 'no answer');
    if (written.kind !== 'answered') return written;
    const { completion } = written;
    const joined = await runSliced(
      joinAnswer({
        kept: kept.text,
        continuation: completion.text ?? '',
        format: this.#format,
        stop: stopsOf(this.#planned.prepared),
      }),
    );
    // What was cut short is no JSON for its limit's sake, which is the request's.
    if (joined.kind === 'no_join' && completion.finishReason === 'length') return await this.#calls.whole('not_joined');
    if (joined.kind === 'no_join') return await this.#calls.failed('not_joined', joined.why);
    const finishReason = joined.isStopped ? 'stop' : (completion.finishReason ?? 'stop');
    return this.#answered(scored, { text: joined.text, tokens: kept.tokens, finishReason, written });
  }

  async #call(
    purpose: 'scoring' | 'continuation',
    request: OwnRequest & Pick<ExtraRequest, 'endpoint'>,
  ): Promise<ExtraAnswer> {
    const answer = await this.#calls.make({ ...request, purpose });
    // A server that breaks by it breaks for every document: each would be asked about twice.
    if (answer.kind === 'unproven') this.#model.drafts.noteFailed(answer.reason, Date.now());
    return answer;
  }

  #answered({ after, inputTokens, tokens: scored }: Scored, joined: Joined): Asked {
    const { job } = this.#document;
    const { text, tokens, finishReason, written } = joined;
    const base = written ?? after;
    const outputTokens = tokens + (written?.completion.usage.outputTokens ?? 0);
    const usage: Usage = { inputTokens, cachedTokens: 0, outputTokens, reasoningTokens: 0 };
    const how: HowAsked = {
      kind: 'verify',
      keptCharacters: scored[countOf(scored, tokens) - 1]?.to ?? 0,
      isWhole: written === null && finishReason === 'stop',
      instead: { inputTokens, outputTokens, ms: this.#model.writing.msOf(outputTokens) },
    };
    const shown = shownUsage(inputTokens, outputTokens);
    return this.#calls.answered(base, {
      completion: { ...base.completion, ...textOf(scored, joined), finishReason, usage },
      body: joinedBody(job.endpoint, base.body, { text, finishReason, usage: shown }),
      how,
    });
  }
}

/** An answer that begins with some of a draft's tokens. */
type Joined = {
  readonly text: string;
  /** Of the draft, how many of the model's own tokens it begins with. */
  readonly tokens: number;
  readonly finishReason: string;
  /** What the model wrote behind them; null: nothing. */
  readonly written: AnsweredCall | null;
};

/** Whether the one token after a draft is the end of the answer. */
const endsThere = ({ finishReason, text }: Completion): boolean =>
  finishReason === 'stop' && (text === null || text === '');

/** How many of the scored parts of a draft make so many of the model's tokens. */
function countOf(scored: readonly ScoredToken[], tokens: number): number {
  let [count, left] = [0, tokens];
  for (; count < scored.length && left > 0; count += 1) left -= scored[count]?.tokens ?? 0;
  return count;
}

/**
 * The answer as it is judged: with the log-probs that the model itself gives to what was kept. Where it was not put
 * together of just that and what was written, nobody knows which log-probs are whose.
 */
function textOf(
  scored: readonly ScoredToken[],
  { text, tokens, written }: Joined,
): Pick<Completion, 'text' | 'tokens' | 'isPartial'> {
  const parts = scored.slice(0, countOf(scored, tokens));
  const kept = text.slice(0, parts.at(-1)?.to ?? 0);
  const rest = written === null ? [] : written.completion.tokens;
  if (rest === null || text !== kept + (written?.completion.text ?? '')) return { text, tokens: null, isPartial: true };
  const begun = parts.map(({ from, to, logprob }): TokenLogprob => ({
    token: kept.slice(from, to),
    bytes: null,
    logprob,
    top: [],
  }));
  return { text, tokens: [...begun, ...rest], isPartial: false };
}
