import {
  addUsage,
  NO_USAGE,
  SIGNALS,
  stageOf,
  type AskReason,
  type CascadeDocument,
  type Completion,
  type ExtraCall,
  type HowAsked,
  type JsonObject,
  type Usage,
} from '@spillway/core';
import type { Asked, AttemptOptions, ExtraAnswer, ExtraRequest, MergedValues } from '../asked.ts';
import { withSpent } from '../spent.ts';
import type { StageModel } from '../stage-model.ts';
import { askWhole } from './whole.ts';

/** A call that brought something. */
export type AnsweredCall = Extract<ExtraAnswer, { kind: 'answered' }>;

/** An answer that was put together, and how. */
type PutTogether = {
  readonly completion: Completion;
  readonly body: JsonObject;
  readonly how: HowAsked;
  readonly values?: MergedValues;
};

/** The calls of an attempt that makes use of a draft: what they took is paid for, whatever comes of them. */
export class AttemptCalls {
  readonly #model: StageModel;
  readonly #document: CascadeDocument;
  readonly #options: AttemptOptions;
  #extra: readonly ExtraCall[] = [];
  #usage: Usage = NO_USAGE;

  constructor(model: StageModel, document: CascadeDocument, options: AttemptOptions) {
    this.#model = model;
    this.#document = document;
    this.#options = options;
  }

  async make(request: Omit<ExtraRequest, 'index'>): Promise<ExtraAnswer> {
    const index = this.#extra.length;
    const { job, rules } = this.#document;
    const { judge } = stageOf(rules, job.stage);
    const topLogprobs = judge === null ? 0 : SIGNALS[judge.confidence.signal.name].topLogprobs;
    const options = { ...this.#options, topLogprobs };
    const answer = await this.#model.askExtra(job, options, { ...request, index });
    if ('call' in answer) this.#extra = [...this.#extra, answer.call];
    if (answer.kind === 'answered') this.#usage = addUsage(this.#usage, answer.completion.usage);
    return answer.kind === 'answered' || answer.kind === 'failed' ? answer : withSpent(answer, this.#usage);
  }

  /** Asks for the whole answer after all. */
  async whole(reason: AskReason): Promise<Asked> {
    const calls = { extra: this.#extra, usage: this.#usage };
    return await askWhole(this.#model, this.#document, this.#options, { reason, calls });
  }

  /** The server did not do as it was seen to; so often in a row, and it is left alone with it. */
  async failed(reason: AskReason, why: string): Promise<Asked> {
    this.#model.drafts.noteFailed(why, Date.now());
    return await this.whole(reason);
  }

  /** The answer that was put together of what the calls brought, `last` by the last of them. */
  answered({ call, requestId }: AnsweredCall, { completion, body, how, values }: PutTogether): Asked {
    this.#model.drafts.noteUsed();
    const extra = this.#extra;
    return {
      kind: 'answered',
      completion,
      answer: { status: 200, requestId, body, usage: this.#usage },
      refusal: null,
      stopped: null,
      how,
      ...(values === undefined ? {} : { values }),
      extra,
      startedAtMs: extra[0]?.startedAtMs ?? call.startedAtMs,
      endedAtMs: call.endedAtMs,
    };
  }
}

/** The tokens of an answer as its client is told them. */
export const shownUsage = (inputTokens: number, outputTokens: number): JsonObject => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens,
});
