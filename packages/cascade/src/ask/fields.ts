import {
  ContinuedScan,
  continuedText,
  continuationRequest,
  ENDPOINTS,
  fieldsRequest,
  hasFailedBefore,
  isJsonObject,
  isUnsuited,
  judgeAnswered,
  judgeContinued,
  joinedBody,
  jsonCharacters,
  mergeFields,
  planFields,
  readContinuedValue,
  readFieldAnswer,
  readUsage,
  stageOf,
  valuedDraft,
  type Answer,
  type AnsweredField,
  type AskReason,
  type CascadeDocument,
  type FieldAnswers,
  type FieldsPlan,
  type HowAsked,
  type JudgedField,
  type JudgeRule,
  type SourcedDraft,
  type SourcedText,
  type WholeReason,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Asked, AttemptOptions, ExtraAnswer, ExtraRequest } from '../asked.ts';
import type { StageModel } from '../stage-model.ts';
import { AttemptCalls, shownUsage, type AnsweredCall } from './calls.ts';
import { askWhole } from './whole.ts';

/**
 * `ask: fields`: the model is asked for the values only that the draft is unsure of, and they take their places in it. Who
 * follows instructions is asked by one; a request without a schema is answered by going on with the draft's JSON, where the
 * server can. What cannot be put together for sure is asked for whole. A stage that judges does so value by value.
 */
export async function askFields(model: StageModel, document: CascadeDocument, options: AttemptOptions): Promise<Asked> {
  const { job } = document;
  const whole = (reason: AskReason): Promise<Asked> => askWhole(model, document, options, { reason });
  if (options.onEvent !== undefined) return await whole('answer_streamed');
  const draft = draftedValues(document);
  if (draft === null) return await whole('values_not_judged');
  if (hasFailedBefore(job)) return await whole('failed_before');
  if (isUnsuited(job, model.prepared(job))) return await whole('request_unsuited');
  const { text, fields } = draft;
  const plan = await runSliced(planFields({ text, fields, endpoint: job.endpoint, request: job.body }));
  if (plan.kind === 'whole') return await whole(reasonOf(plan.reason));
  if (stageOf(document.rules, job.stage).judge !== null && model.findings?.log_probs === false)
    return await whole('no_log_probs');
  if (model.drafts.isOpen(Date.now())) return await whole('drafts_paused');
  const calls = new AttemptCalls(model, document, options);
  return await new FieldsAsking(model, document, calls, { plan, draft }).run();
}

/** The latest draft of the stages before whose values were judged one by one; null: the latest text's were not. */
function draftedValues({ job }: CascadeDocument): (SourcedDraft & { readonly outputTokens: number }) | null {
  const valued = valuedDraft(job);
  const { answer = null, how } = job.drafts[valued?.stage ?? -1] ?? {};
  if (valued === null || answer === null) return null;
  const { stage, text, sureValues } = valued;
  const fields = Array.from(sureValues, (mark) => ({ stage, confidence: null, isSure: mark === '1' }));
  return { text, fields, outputTokens: writtenTokens(answer, how) };
}

/** How many tokens an answer has: by its own words; else by what its stage would have written, or has paid, for it. */
function writtenTokens({ body, usage }: Answer, how: HowAsked | undefined): number {
  const said = readUsage(isJsonObject(body) ? body['usage'] : undefined).outputTokens;
  if (said > 0) return said;
  return how === undefined || how.kind === 'answer' ? usage.outputTokens : how.instead.outputTokens;
}

function reasonOf(reason: WholeReason): AskReason {
  if (reason === 'all_unsure' || reason === 'too_many_unsure') return 'all_unsure';
  return reason === 'not_judged' || reason === 'no_object' ? 'values_not_judged' : 'not_splittable';
}

type Planned = {
  readonly plan: FieldsPlan;
  readonly draft: SourcedDraft & { readonly outputTokens: number };
};

/** The values that were asked for, and the call that brought the last of them. */
type Values = { readonly kind: 'values'; readonly answers: FieldAnswers; readonly last: AnsweredCall };

/** One document's draft while its unsure values are asked for. */
class FieldsAsking {
  readonly #model: StageModel;
  readonly #document: CascadeDocument;
  readonly #calls: AttemptCalls;
  readonly #planned: Planned;
  /** Of the request itself: the fewest tokens that a call of its read. */
  #inputTokens = Number.POSITIVE_INFINITY;
  #isEstimated = false;
  /** How the stage judges; null: it is the last one, whose answer is final. */
  readonly #rule: JudgeRule | null;
  /** The values that came, as they were judged. */
  #judged: readonly JudgedField[] = [];

  constructor(model: StageModel, document: CascadeDocument, calls: AttemptCalls, planned: Planned) {
    this.#model = model;
    this.#document = document;
    this.#calls = calls;
    this.#planned = planned;
    this.#rule = stageOf(document.rules, document.job.stage).judge;
  }

  async run(): Promise<Asked> {
    const { plan, draft } = this.#planned;
    const { job } = this.#document;
    const values = this.#continues ? await this.#continueEach() : await this.#instruct();
    if (values.kind !== 'values') return values;
    const format = ENDPOINTS[job.endpoint].format(job.body);
    const { answers, last } = values;
    const merged = await runSliced(mergeFields({ draft, plan, answers, stage: job.stage, format }));
    if (merged.kind === 'whole') return await this.#calls.whole('values_failed');
    return this.#answered(merged, last);
  }

  /**
   * With a schema a server holds its model to the values that are asked for. Without one going on with the draft's JSON
   * needs no model that follows instructions; but what the draft has left out cannot be asked for like that.
   */
  get #continues(): boolean {
    const { endpoint, body } = this.#document.job;
    if (ENDPOINTS[endpoint].format(body)?.schema !== undefined || this.#planned.plan.absent.length > 0) return false;
    const { continuation = null, reasons = false } = this.#model.findings ?? {};
    return !reasons && (endpoint === '/v1/completions' || (continuation !== null && continuation !== 'no'));
  }

  async #instruct(): Promise<Values | Asked> {
    const { plan } = this.#planned;
    const { endpoint, body } = this.#document.job;
    const asked = fieldsRequest(endpoint, body, plan);
    if (asked === null) return await this.#calls.whole('request_unsuited');
    const last = await this.#call({ body: asked, own: [] });
    if (last.kind !== 'answered') return await this.#interrupted(last);
    this.#inputTokens = last.completion.usage.inputTokens;
    const { completion } = last;
    const judged = this.#rule && (await runSliced(judgeAnswered({ completion, endpoint, request: asked }, this.#rule)));
    if (this.#rule !== null && judged === null) return await this.#calls.whole('values_failed');
    this.#judged = judged ?? [];
    const read = await runSliced(readFieldAnswer(completion.text ?? '', plan, judged));
    if (read.kind === 'whole' || hasEmpty(read.answers)) return await this.#calls.whole('values_failed');
    return { kind: 'values', answers: read.answers, last };
  }

  /** One call for each value, in the order of the draft, given up once the value is there. */
  async #continueEach(): Promise<Values | Asked> {
    const { plan, draft } = this.#planned;
    const { job } = this.#document;
    const found = new Map<string, string>();
    const answers = new Map<string, AnsweredField>();
    let last: AnsweredCall | null = null;
    for (const path of plan.paths) {
      const before = await runSliced(continuedText(draft.text, path, found));
      const { body, own } = continuationRequest(job, before, null);
      const { stop: _stop, ...asked } = body;
      const scan = new ContinuedScan(before);
      const isEnough = this.#streams ? (piece: string): boolean => scan.push(piece) : undefined;
      const answer: ExtraAnswer = await this.#call({
        body: asked,
        own: [...own, 'stop'],
        ...(isEnough === undefined ? {} : { isEnough }),
      });
      if (answer.kind !== 'answered') return await this.#interrupted(answer);
      const value = await runSliced(readContinuedValue(before, answer.completion.text ?? ''));
      if (value.kind !== 'value') return await this.#calls.whole('values_failed');
      const { inputTokens } = answer.completion.usage;
      const characters = jsonCharacters(job.body);
      const share = characters / (characters + before.length);
      this.#inputTokens = Math.min(this.#inputTokens, Math.round(inputTokens * share));
      const rule = this.#rule;
      const judged = rule && (await runSliced(judgeContinued(before, answer.completion, { path, rule })));
      if (rule !== null && judged === null) return await this.#calls.whole('values_failed');
      this.#judged = [...this.#judged, ...(judged ?? [])];
      found.set(path, value.json);
      answers.set(path, { json: value.json, fields: judged });
      last = answer;
    }
    if (last === null) throw new Error('a plan has something to ask for');
    return { kind: 'values', answers, last };
  }

  /** Whether a call may be given up once its value is there: its log-probs must come with it where it is judged. */
  get #streams(): boolean {
    return this.#rule === null || this.#model.findings?.streamed_log_probs === true;
  }

  async #call(request: Pick<ExtraRequest, 'body' | 'own' | 'isEnough'>): Promise<ExtraAnswer> {
    const answer = await this.#calls.make({ ...request, purpose: 'fields' });
    this.#isEstimated ||= answer.kind === 'answered' && answer.isEstimated;
    return answer;
  }

  /**
   * A call that failed by itself, or whose failure may not be its own. Only such count against the server: an answer that
   * does not fit may be right, as where a document has no such value, and others' documents are asked for fields all the
   * same.
   */
  async #interrupted(answer: Exclude<ExtraAnswer, { kind: 'answered' }>): Promise<Asked> {
    if (answer.kind !== 'failed') return answer;
    return await this.#calls.failed('values_failed', answer.call.error?.message ?? 'no answer');
  }

  #answered({ text, fields }: SourcedText, last: AnsweredCall): Asked {
    const { job } = this.#document;
    const { plan, draft } = this.#planned;
    const inputTokens = Number.isFinite(this.#inputTokens) ? this.#inputTokens : 0;
    // As long as the draft is, by its own model's tokens: the whole was never written by this one.
    const { outputTokens } = draft;
    const usage = shownUsage(inputTokens, outputTokens);
    const how: HowAsked = {
      kind: 'fields',
      asked: [...plan.paths, ...plan.absent],
      isEstimated: this.#isEstimated,
      instead: { inputTokens, outputTokens, ms: this.#model.writing.msOf(outputTokens) },
    };
    return this.#calls.answered(last, {
      completion: { ...last.completion, text, tokens: null, finishReason: 'stop' },
      body: joinedBody(job.endpoint, last.body, { text, finishReason: 'stop', usage }),
      how,
      ...(this.#rule === null
        ? {}
        : { values: { answered: this.#judged, areSure: fields.map(({ isSure }) => isSure) } }),
    });
  }
}

/** Whether a judged value has no scalar, so that nothing was judged of it. */
const hasEmpty = (answers: FieldAnswers): boolean => [...answers.values()].some(({ fields }) => fields?.length === 0);
