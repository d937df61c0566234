import { PrefixCache, type Blocks } from './prefix-cache.ts';

/** What a model server can do; times are of its own clock. */
export type EngineSpec = {
  /** What a step takes whatever is in it: the weights are read once. */
  readonly stepMs: number;
  /** What each sequence that decodes adds to a step, for its one token. */
  readonly decodeMs: number;
  /** What each token of a prompt adds to the step that reads it. */
  readonly prefillMs: number;
  /** Sequences at a time; further requests wait in the queue. */
  readonly maxBatch: number;
  /** Tokens of a step, decoded and read together: a longer prompt is read in chunks. */
  readonly stepTokens: number;
  /** Tokens of a block of the prefix cache, and how many blocks it holds: 0 for none. */
  readonly blockTokens: number;
  readonly cacheBlocks: number;
};

/** A request, as far as time goes by it. */
export type Work = {
  readonly id: number;
  readonly promptTokens: number;
  /** Of the prompt's whole blocks; empty for a request that is not to use the cache. */
  readonly blocks: Blocks;
  /** False: the whole prompt is read, though its blocks are kept for others. */
  readonly readsCache?: boolean;
  /** Tokens that the answer has, at least one: the step that reads the end of a prompt makes the first. */
  readonly outputTokens: number;
  /** Whether each token is told, or only the end. */
  readonly isStreamed?: boolean;
};

/** Some request has so many tokens of its answer now. */
export type Progress = {
  readonly id: number;
  readonly atMs: number;
  readonly tokens: number;
  readonly cachedTokens: number;
  readonly isFinished: boolean;
};

type Sequence = {
  readonly work: Work;
  cachedTokens: number;
  /** Tokens of the prompt that are not read yet. */
  unread: number;
  tokens: number;
};

type Step = { readonly endMs: number; readonly chunks: ReadonlyMap<Sequence, number> };

/**
 * A server with continuous batching and chunked prefill, as vLLM's scheduler and Sarathi-Serve's work: every sequence that
 * decodes has a token of each step; what is left of the step's tokens goes to prompts, in the order in which they came. A
 * step takes a time that is linear in its tokens, so each sequence gets slower as the batch grows and all together get
 * faster. What is left out: attention's growth with the context, memory for the sequences' own caches (the batch's maximum
 * stands for it) and preemption.
 *
 * Nothing here waits or looks at a clock: who drives it says how late it is (`advance`, then `submit`), so a simulation
 * runs the same code as the server does.
 */
export class Engine {
  readonly #spec: EngineSpec;
  readonly #cache: PrefixCache;
  #waiting: Sequence[] = [];
  #running: Sequence[] = [];
  #step: Step | null = null;
  #busyMs = 0;

  constructor(spec: EngineSpec) {
    if (spec.maxBatch > spec.stepTokens) throw new Error('a step has a token for each sequence that decodes');
    this.#spec = spec;
    this.#cache = new PrefixCache(spec.cacheBlocks);
  }

  /** When the step that runs ends; null: there is nothing to do. */
  get nextMs(): number | null {
    return this.#step?.endMs ?? null;
  }

  /** What all the steps took that have begun: where it is less than the time that has passed, nobody asked. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Takes requests that come at one moment; whatever ended before it must have been taken off by `advance`. */
  submit(works: readonly Work[], atMs: number): void {
    if (this.#step !== null && this.#step.endMs < atMs)
      throw new Error('the steps before this moment were not advanced');
    for (const work of works) this.#waiting.push({ work, cachedTokens: 0, unread: work.promptTokens, tokens: 0 });
    if (this.#step === null) this.#begin(atMs);
  }

  /** Whoever asked has gone; the step that runs is not shorter for it. */
  cancel(id: number): void {
    const isOther = ({ work }: Sequence): boolean => work.id !== id;
    this.#waiting = this.#waiting.filter(isOther);
    this.#running = this.#running.filter(isOther);
  }

  /** Empties the prefix cache, so that what was asked before makes no difference to what is asked from now on. */
  resetPrefixCache(): void {
    this.#cache.clear();
  }

  /** What came of all the steps that end by then, in order. */
  advance(toMs: number): Progress[] {
    const progress: Progress[] = [];
    while (this.#step !== null && this.#step.endMs <= toMs) {
      const { endMs } = this.#step;
      this.#end(this.#step, progress);
      this.#begin(endMs);
    }
    return progress;
  }

  #begin(atMs: number): void {
    const { stepMs, decodeMs, prefillMs, stepTokens } = this.#spec;
    const chunks = new Map<Sequence, number>();
    const decoding = this.#running.filter(({ unread }) => unread === 0);
    for (const sequence of decoding) chunks.set(sequence, 0);
    const reading = this.#running.filter(({ unread }) => unread > 0);
    let left = stepTokens - decoding.length;
    /** Gives a prompt what it needs of the tokens that are left; whether some are left then. */
    const read = (sequence: Sequence): boolean => {
      const chunk = Math.min(left, sequence.unread);
      if (chunk > 0) chunks.set(sequence, chunk);
      left -= chunk;
      return left > 0;
    };
    if (reading.every(read) && left > 0) this.#admitWhile(read);
    const readTokens = stepTokens - decoding.length - left;
    const tookMs = stepMs + decodeMs * decoding.length + prefillMs * readTokens;
    this.#step = chunks.size === 0 ? null : { endMs: atMs + tookMs, chunks };
    if (this.#step !== null) this.#busyMs += tookMs;
  }

  /** Takes requests from the queue into the batch, as long as it has a place and the step a token. */
  #admitWhile(read: (sequence: Sequence) => boolean): void {
    const next = this.#waiting.slice(0, this.#spec.maxBatch - this.#running.length);
    const last = next.findIndex((sequence) => {
      this.#admit(sequence);
      return !read(sequence);
    });
    this.#waiting.splice(0, last === -1 ? next.length : last + 1);
  }

  #admit(sequence: Sequence): void {
    const { promptTokens, blocks, readsCache = true } = sequence.work;
    // The last token is read in any case, as the first token of the answer comes of it.
    const hits = readsCache ? this.#cache.hits(blocks) : 0;
    const cached = Math.min(hits * this.#spec.blockTokens, promptTokens - 1);
    sequence.cachedTokens = cached;
    sequence.unread = promptTokens - cached;
    this.#running.push(sequence);
  }

  #end({ endMs, chunks }: Step, progress: Progress[]): void {
    const isThere = new Set(this.#running);
    for (const [sequence, chunk] of chunks) {
      if (!isThere.has(sequence)) continue;
      sequence.unread -= chunk;
      if (sequence.unread > 0) continue;
      if (chunk > 0) this.#cache.add(sequence.work.blocks);
      sequence.tokens += 1;
      const isFinished = sequence.tokens >= sequence.work.outputTokens;
      const { work, cachedTokens, tokens } = sequence;
      if (isFinished) isThere.delete(sequence);
      if (isFinished || work.isStreamed === true)
        progress.push({ id: work.id, atMs: endMs, tokens, cachedTokens, isFinished });
    }
    if (isThere.size < this.#running.length) this.#running = this.#running.filter((one) => isThere.has(one));
  }
}
