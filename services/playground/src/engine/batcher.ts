import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeyValueCache } from './cache.ts';
import type { Decoder } from './decoder.ts';
import type { GenerationEvent, GenerationRequest } from './generation.ts';
import { Choice, reportPrompt } from './generation.ts';
import type { Tokenizer } from './tokenizer.ts';

type Listener = (events: readonly GenerationEvent[]) => void;

interface Waiting {
  readonly id: number;
  readonly request: GenerationRequest;
  readonly tell: Listener;
}

interface Running {
  readonly id: number;
  readonly choice: Choice;
  readonly tell: Listener;
}

/**
 * Continuous batching: every turn reads one waiting prompt if a row is free, then writes one token of every running
 * choice in a single pass. A request joins and leaves between any two tokens of the others. Writing together pays (for
 * the drafter 0.30 ms for one row, 0.44 ms for eight), reading together does not (1.7 ms for one prompt, 17 for eight).
 */
export class Batcher {
  readonly #decoder: Decoder;
  readonly #tokenizer: Tokenizer;
  readonly #cache: KeyValueCache;
  readonly #maxRows: number;
  readonly #waiting: Waiting[] = [];
  readonly #running: Running[] = [];
  readonly #cancelled = new Set<number>();
  #turning = false;

  constructor(decoder: Decoder, tokenizer: Tokenizer, maxRows: number) {
    this.#decoder = decoder;
    this.#tokenizer = tokenizer;
    this.#maxRows = maxRows;
    this.#cache = new KeyValueCache(decoder.shape, maxRows);
  }

  /** Adds a request; `tell` hears what becomes of it, several events of one step at a time. */
  add(id: number, request: GenerationRequest, tell: Listener): void {
    this.#waiting.push({ id, request, tell });
  }

  /** Drops a request whose client has gone. */
  cancel(id: number): void {
    const at = this.#waiting.findIndex((waiting) => waiting.id === id);
    if (at >= 0) this.#waiting.splice(at, 1);
    else if (this.#running.some((running) => running.id === id)) this.#cancelled.add(id);
  }

  /** Works until nothing is left; does nothing when it is already at work. */
  async work(): Promise<void> {
    if (this.#turning) return;
    this.#turning = true;
    try {
      while (this.#waiting.length > 0 || this.#running.length > 0) {
        this.#dropCancelled();
        const next = this.#takeWaiting();
        if (next !== undefined) await this.#readPrompt(next);
        // Requests and cancellations arrive as messages: they need a turn of the event loop between two steps.
        await nextTurn();
        if (this.#running.length > 0) await this.#writeTokens();
        await nextTurn();
      }
    } finally {
      this.#turning = false;
    }
  }

  /** Rows only move between two steps: a step that is under way still counts on the order it began with. */
  #dropCancelled(): void {
    for (let row = this.#running.length - 1; row >= 0 && this.#cancelled.size > 0; row--) {
      if (this.#cancelled.has(this.#running[row]?.id ?? -1)) this.#remove(row);
    }
    this.#cancelled.clear();
  }

  /** The oldest request, if there are rows for all its choices: a later, smaller one does not overtake it. */
  #takeWaiting(): Waiting | undefined {
    const next = this.#waiting[0];
    if (next === undefined || next.request.choices > this.#maxRows - this.#running.length) return undefined;
    return this.#waiting.shift();
  }

  /** All choices of a request share the one reading of its prompt. */
  async #readPrompt({ id, request, tell }: Waiting): Promise<void> {
    const { vocabulary } = this.#decoder.shape;
    const length = request.prompt.length;
    const output = await this.#decoder.run([{ tokens: request.prompt, from: 0 }], new Float32Array(0), 0);
    const last = output.logits.subarray((length - 1) * vocabulary, length * vocabulary);
    const events: GenerationEvent[] = [];
    if (request.promptLogprobs !== undefined) {
      events.push({
        kind: 'prompt',
        reports: reportPrompt(request.prompt, output.logits, vocabulary, request.promptLogprobs),
      });
    }
    this.#cache.reserve(length);
    for (let index = 0; index < request.choices; index++) {
      const choice = new Choice(request, index, this.#tokenizer);
      const made = choice.advance(last);
      events.push(...made);
      if (made.at(-1)?.kind === 'finish') continue;
      const target = this.#cache.addRow();
      this.#cache.append(target, 0, output, 0, length);
      this.#running.push({ id, choice, tell });
    }
    tell(events);
  }

  async #writeTokens(): Promise<void> {
    const { vocabulary } = this.#decoder.shape;
    const batch = [...this.#running];
    this.#cache.reserve(Math.max(...batch.map(({ choice }) => choice.tokens.length)));
    const rows = batch.map(({ choice }) => ({ tokens: choice.tokens, from: choice.tokens.length - 1 }));
    const output = await this.#decoder.run(rows, this.#cache.view(), this.#cache.columns);
    const done: number[] = [];
    batch.forEach(({ choice, tell }, row) => {
      this.#cache.append(row, choice.tokens.length - 1, output, row, 1);
      const events = choice.advance(output.logits.subarray(row * vocabulary, (row + 1) * vocabulary));
      tell(events);
      if (events.at(-1)?.kind === 'finish') done.push(row);
    });
    // From the last to the first, because a removed row is replaced by the last one.
    for (const row of done.toReversed()) this.#remove(row);
  }

  #remove(row: number): void {
    this.#cache.removeRow(row);
    const last = this.#running.pop();
    if (last !== undefined && row < this.#running.length) this.#running[row] = last;
  }
}
