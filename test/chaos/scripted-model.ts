import { promptOf } from '../support/model-shapes.ts';
import { scriptOf, type Scripted } from '../support/model-script.ts';
import type { ModelRequest, ModelServerOptions } from '../support/model-server.ts';
import { verifyingAnswer } from '../support/verifying-server.ts';
import { answerOf, isDeadly, nameIn, roleOf, type ModelName } from './documents.ts';

/** What all calls get while a server is at fault; `hanging`: nothing, and their answers when the fault is over. */
export type ModelFault = { readonly kind: 'answer'; readonly scripted: Scripted } | { readonly kind: 'hanging' };

/** What a model server answers, and its own record of whom. */
export class ScriptedModel {
  readonly name: ModelName;
  /** How often each document was asked for. */
  readonly calls = new Map<string, number>();
  /** What happens to its server at a deadly document. */
  readonly #die: () => void;
  #fault: ModelFault | null = null;
  #healed = Promise.withResolvers<void>();

  constructor(name: ModelName, die: () => void) {
    this.name = name;
    this.#die = die;
  }

  get options(): ModelServerOptions {
    const latencyMs = this.name === 'medium' ? 40 : 60;
    return {
      role: roleOf(this.name),
      latencyMs,
      record: false,
      answer: (request) => this.#answer(request),
      check: ({ body }) =>
        this.#fault?.kind === 'answer' ? this.#fault.scripted : verifyingAnswer({ answer: () => 'hello' })({ body }),
    };
  }

  fail(fault: ModelFault): void {
    this.#fault = fault;
  }

  heal(): void {
    this.#fault = null;
    this.#healed.resolve();
    this.#healed = Promise.withResolvers<void>();
  }

  async #answer({ body, attempt }: ModelRequest): Promise<Scripted> {
    const prompt = promptOf(body);
    const name = nameIn(prompt);
    if (name !== null) this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    if (isDeadly(this.name, prompt)) this.#die();
    if (this.#fault?.kind === 'answer') return this.#fault.scripted;
    if (this.#fault?.kind === 'hanging') await this.#healed.promise;
    const scripted = scriptOf({ prompt, attempt, role: roleOf(this.name) });
    if (scripted.kind !== 'completion' || name === null) return scripted;
    const text = answerOf(this.name, name, prompt);
    // A given answer is scored and gone on with; the drafters are never asked to.
    return isGiven(body) ? verifyingAnswer({ answer: () => text })({ body }) : { ...scripted, text };
  }
}

const isGiven = (body: ModelRequest['body']): boolean => body['continue_final_message'] === true;
