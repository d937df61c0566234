import { ENDPOINTS, serverWords } from '@spillway/core';
import type { AskedLogprobs, Completion, EndpointUrl, Fault, JsonObject } from '@spillway/core';
import { refusesAlternatives, refusesLogprobs, refusesPriority } from './fault.ts';

/** What a server may refuse of a request, and answers it without. */
export type RefusedPart = RefusedLogprobs | 'priority';

/** What it may refuse of a request for log-probs. */
export type RefusedLogprobs = 'logprobs' | 'alternatives';

/** What a call asks for beside an answer; `priority` null: no place in the server's queue. */
export type Asked = AskedLogprobs & { readonly priority: number | null };

/** What was asked for, as far as the endpoint's own words for it go. */
type Called = { readonly endpoint: EndpointUrl; readonly body: JsonObject };

/** A request for less, after a refusal. */
export type LessAsked = {
  readonly asked: Asked;
  readonly part: RefusedPart;
  readonly status: number;
  /** What the server said; null: nothing. */
  readonly said: string | null;
};

/** A refusal may have been about one request only, or about a model since replaced: so it is asked again. */
const REFUSAL_MS = 600_000;

/** What a model's server refuses: remembered for a while, and told once. */
export class Refusals {
  readonly #onRefusal: (less: LessAsked) => void;
  readonly #untilMs: Record<RefusedPart, number> = { logprobs: 0, alternatives: 0, priority: 0 };
  readonly #given = new Set<RefusedPart>();
  readonly #told = new Set<RefusedPart>();
  #said: string | null = null;

  constructor(onRefusal: (less: LessAsked) => void) {
    this.#onRefusal = onRefusal;
  }

  /** What a call asks for, but for what the server refuses: at least one alternative, if it takes some. */
  asked({ wanted, top, priority }: Asked): Asked {
    const isRefused = (part: RefusedPart): boolean => performance.now() < this.#untilMs[part];
    return {
      wanted: wanted && !isRefused('logprobs'),
      top: isRefused('alternatives') ? 0 : Math.max(1, top),
      priority: isRefused('priority') ? null : priority,
    };
  }

  /** What the server said when it refused log-probs; null: it did not, or said nothing. */
  get said(): string | null {
    return this.#said;
  }

  /** What a check of the model saw its server refuse; whoever checked has told of it. */
  know(refused: Readonly<Record<RefusedLogprobs, boolean>> & { readonly said: string | null }): void {
    if (refused.logprobs) this.#said = refused.said;
    for (const part of ['logprobs', 'alternatives'] as const) {
      if (!refused[part]) continue;
      this.#untilMs[part] = performance.now() + REFUSAL_MS;
      this.#told.add(part);
    }
  }

  /** That one request fails because of its log-probs, say, says nothing about a server that has given them before. */
  noteGiven({ tokens }: Completion, { priority }: Asked): void {
    if (priority !== null) this.#given.add('priority');
    if (tokens !== null) this.#given.add('logprobs');
    if (tokens?.some(({ top }) => top.length > 0) === true) this.#given.add('alternatives');
  }

  /** To be called when a request for less went well: only then was it that part that was refused. */
  remember(less: LessAsked): void {
    const { part, said } = less;
    if (this.#given.has(part)) return;
    if (part === 'logprobs') this.#said = said;
    this.#untilMs[part] = performance.now() + REFUSAL_MS;
    if (this.#told.has(part)) return;
    this.#told.add(part);
    this.#onRefusal(less);
  }
}

/**
 * What is asked for after a fault: no priority, or first no alternatives, then no log-probs. Null: they are not what was
 * refused.
 */
export function lessAsked(fault: Fault, asked: Asked, { endpoint, body }: Called): LessAsked | null {
  if (fault.kind !== 'http') return null;
  const { request, wantsLogprobs } = ENDPOINTS[endpoint];
  const { status } = fault;
  const said = serverWords(fault.body);
  if (asked.priority !== null && refusesPriority(fault)) {
    return { asked: { ...asked, priority: null }, part: 'priority', status, said };
  }
  if (!asked.wanted) return null;
  const fewer = { ...asked, top: 0 };
  const isLess = (): boolean => differ(request(body, '', fewer), request(body, '', asked));
  if (refusesAlternatives(fault) && isLess()) return { asked: fewer, part: 'alternatives', status, said };
  // What the client itself asked for, and is refused, is the client's.
  if (!refusesLogprobs(fault) || wantsLogprobs(body)) return null;
  return { asked: { ...asked, wanted: false, top: 0 }, part: 'logprobs', status, said };
}

/** Whether two requests that were made of one body differ: what both have from it is not looked into. */
const differ = (left: JsonObject, right: JsonObject): boolean =>
  [...Object.keys(left), ...Object.keys(right)].some(
    (name) => left[name] !== right[name] && JSON.stringify(left[name]) !== JSON.stringify(right[name]),
  );
