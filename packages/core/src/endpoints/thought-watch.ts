import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { AskedFormat } from './endpoint.ts';
import type { EndpointStream } from './stream.ts';
import { beginsThought } from './thought.ts';

/** What is known of a stream before it begins. */
export type WatchOptions = {
  readonly stream: EndpointStream;
  /** As its server got it. */
  readonly request: JsonObject;
  readonly format: AskedFormat | null;
  /** The model has answered before with thoughts that its prompt began: then their beginning cannot be seen. */
  readonly opensThoughts: boolean;
};

/**
 * Holds the events of a stream back until its text has begun with something else than a thought. What does begin with
 * one is held to the end: its answer can be told from it only then, and comes in one piece.
 */
export class ThoughtWatch {
  readonly #options: WatchOptions;
  readonly #held: JsonObject[] = [];
  /** What each choice has said so far; null: its text is known to begin with an answer. */
  readonly #begun = new Map<number, string | null>();
  readonly #choices: number;
  /** How many choices are known to begin with an answer. */
  #known = 0;
  #state: 'undecided' | 'held' | 'passed' = 'undecided';

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#choices = choicesOf(options.request);
    const { echo } = options.request;
    if (echo === true || thinksInPrompt(options.request)) this.#state = 'held';
  }

  /** The events that may be shown now. */
  push(data: JsonObject): readonly JsonObject[] {
    if (this.#state === 'passed') return [data];
    this.#held.push(data);
    const { texts, isOther } = this.#options.stream.said(data);
    // A server that says thoughts beside the text leaves none in it.
    if (isOther) return this.release();
    for (const { index, text } of texts) this.#hear(index, text);
    return this.#state === 'undecided' && this.#known >= this.#choices ? this.release() : [];
  }

  /** All events that are held, for an answer that turned out to have no thought in it. */
  release(): readonly JsonObject[] {
    this.#state = 'passed';
    return this.#held.splice(0);
  }

  #hear(index: number, piece: string): void {
    const before = this.#begun.get(index) ?? '';
    if (this.#begun.get(index) === null || this.#state === 'held') return;
    // Blanks before it say nothing, and may come in any number of pieces.
    const text = (before + piece).trimStart();
    const begins = this.#options.opensThoughts ? 'yes' : this.#begins(text);
    if (begins === 'yes') this.#state = 'held';
    this.#begun.set(index, begins === 'no' ? null : text);
    if (begins === 'no') this.#known += 1;
  }

  /** Where JSON is asked for, any other text may be a thought that the prompt began. */
  #begins(text: string): 'yes' | 'no' | 'maybe' {
    const { format, request } = this.#options;
    const begins = beginsThought(text, request);
    return begins === 'no' && format !== null && !/^\s*["{[\d-]/.test(text) ? 'yes' : begins;
  }
}

/** Chat templates that are told to think begin the thought themselves. */
function thinksInPrompt({ chat_template_kwargs: given }: JsonObject): boolean {
  return isJsonObject(given) && (given['enable_thinking'] === true || given['thinking'] === true);
}

/** How many answers a request asks for. */
function choicesOf({ n, prompt }: JsonObject): number {
  const isList = Array.isArray(prompt) && prompt.some((one: Json) => typeof one !== 'number');
  return (typeof n === 'number' ? Math.max(1, n) : 1) * (isList ? prompt.length : 1);
}
