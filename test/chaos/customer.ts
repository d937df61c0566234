import { setTimeout as delay } from 'node:timers/promises';
import { APIError, toFile, type OpenAI } from 'openai';
import { requestLine } from '../support/request-line.ts';
import { isOver } from '../support/system.ts';
import { documentName, promptOfDocument, temperatureOf, type DocumentKind } from './documents.ts';
import type { BatchPlan } from './schedule.ts';
import { cascadeFor, METADATA, type Wish } from './wishes.ts';

/** A document as its customer knows it: `name` is also its custom_id. */
export type Sent = { readonly name: string; readonly kind: DocumentKind };

/** All that a customer saw of one batch. */
export type Seen = {
  readonly batch: number;
  readonly tenant: BatchPlan['tenant'];
  readonly isRetry: boolean;
  readonly wish: Wish;
  /** It was decided anew from another batch. */
  readonly isRedecided: boolean;
  readonly sent: readonly Sent[];
  readonly id: string;
  isCancelAsked: boolean;
  /** The batch object at its end, as each API shows it. */
  ends: OpenAI.Batch[];
  output: string[];
  errors: string[];
  /** Lines that were visible before the end, by the order in which they came. */
  readonly early: string[];
  /** What was wrong on the way. */
  readonly complaints: string[];
};

/** A call that failed in spite of the SDK's retries. */
export type FailedCall = { readonly call: string; readonly status: number | null; readonly message: string };

const POLL_MS = 100;
const AGAIN_MS = 250;

/** What a customer shares with the others of its schedule. */
export type Market = {
  readonly client: (tenant: BatchPlan['tenant']) => OpenAI;
  /** Clients that ask one API only. */
  readonly clients: (tenant: BatchPlan['tenant']) => OpenAI[];
  /** Until so much of the whole is settled. */
  readonly progress: (share: number) => Promise<void>;
  /** No use going on: the schedule has failed or stands still. */
  readonly signal: AbortSignal;
};

/** Someone with one batch, who asks as the SDK's users do. */
export class Customer {
  readonly plan: BatchPlan;
  readonly seen: Seen[] = [];
  readonly failedCalls: FailedCall[] = [];
  settled = 0;
  calls = 0;
  #isCancelWanted = false;
  #pausedAtMs: number | null = null;
  #isResumed = false;
  readonly #index: number;
  readonly #prefix: string;
  readonly #market: Market;

  constructor(plan: BatchPlan, index: number, prefix: string, market: Market) {
    this.plan = plan;
    this.#index = index;
    this.#prefix = prefix;
    this.#market = market;
  }

  cancel(): void {
    this.#isCancelWanted = true;
  }

  /** Submits the batch, watches it to its end, and reads its files; then the same of what is made of it. */
  async work(): Promise<void> {
    const { tenant, documents, at, isRetried, wish, isRedecided } = this.plan;
    await this.#market.progress(at);
    const sent = documents.map((kind, document) => ({
      name: documentName(this.#prefix, wish, this.#index, document),
      kind,
    }));
    const model = cascadeFor(wish);
    const text = sent
      .map(({ name, kind }, index) =>
        requestLine(promptOfDocument(name, kind), name, { model, body: temperatureOf(index) }),
      )
      .join('\n');
    const file = await this.#persist('upload', async (client) =>
      client.files.create({ file: await toFile(Buffer.from(`${text}\n`), 'input.jsonl'), purpose: 'batch' }),
    );
    const key = { headers: { 'Idempotency-Key': `${this.#prefix}${this.#index}` } };
    const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const metadata = METADATA[wish];
    const { id } = await this.#persist('create', (client) => client.batches.create({ ...order, metadata }, key));
    const about = { batch: this.#index, tenant, wish };
    const first = await this.#follow({ ...about, isRetry: false, isRedecided: false, sent, id });
    this.settled = documents.length;
    if (isRedecided && first.ends[0]?.status === 'completed') await this.#redecide(id, { ...about, sent });
    if (!isRetried || first.errors.length === 0) return;
    const retry = await this.#persist('retry', (client) => client.post<OpenAI.Batch>(`/batches/${id}/retry`));
    const failed = new Set(first.errors.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id));
    const again = sent.filter(({ name }) => failed.has(name));
    await this.#follow({ ...about, isRetry: true, isRedecided: false, sent: again, id: retry.id });
  }

  /** Decides an ended batch anew, so that each draft that could be judged is final. */
  async #redecide(id: string, about: Pick<Seen, 'batch' | 'tenant' | 'wish' | 'sent'>): Promise<void> {
    const anew = await this.#persist('redecide', (client) =>
      client.post<OpenAI.Batch>(`/batches/${id}/redecide`, { body: { accept_at: [0, 0] } }),
    );
    await this.#follow({ ...about, isRetry: false, isRedecided: true, id: anew.id });
  }

  async #follow(
    about: Pick<Seen, 'batch' | 'tenant' | 'isRetry' | 'wish' | 'isRedecided' | 'sent' | 'id'>,
  ): Promise<Seen> {
    const seen: Seen = {
      ...about,
      isCancelAsked: false,
      ends: [],
      output: [],
      errors: [],
      early: [],
      complaints: [],
    };
    this.seen.push(seen);
    for (let cursor = ''; ; await delay(POLL_MS)) {
      const batch = await this.#persist('retrieve', (client) => client.batches.retrieve(seen.id));
      if (isOver(batch)) break;
      const { completed = 0, failed = 0 } = batch.request_counts ?? {};
      if (!seen.isRetry && !seen.isRedecided) this.settled = completed + failed;
      if (this.#isCancelWanted && !seen.isCancelAsked) await this.#cancel(seen);
      if (!seen.isRetry && !seen.isRedecided) await this.#holdUp(seen, batch);
      if (batch.status !== 'validating') cursor = await this.#readEarly(seen, cursor);
    }
    await this.#readEnd(seen);
    return seen;
  }

  /** Pauses the batch once some of it is settled, and has it go on after a while; whatever is lost meanwhile, it is paused. */
  async #holdUp(seen: Seen, batch: OpenAI.Batch): Promise<void> {
    const { pausedMs } = this.plan;
    if (pausedMs === null || (this.settled === 0 && this.#pausedAtMs === null)) return;
    const { paused } = (batch as OpenAI.Batch & { spillway: { paused: boolean } }).spillway;
    const isLong = performance.now() - (this.#pausedAtMs ?? 0) >= pausedMs;
    if (this.#pausedAtMs === null) {
      await this.#persist('pause', (client) => client.post(`/batches/${seen.id}/pause`).catch(ignoreConflict));
      this.#pausedAtMs = performance.now();
    } else if (!this.#isResumed && !isLong) {
      if (!paused && !seen.isCancelAsked && batch.status === 'in_progress')
        seen.complaints.push('a paused batch went on by itself');
    } else if (!this.#isResumed) {
      this.#isResumed = true;
      await this.#persist('resume', (client) => client.post(`/batches/${seen.id}/resume`).catch(ignoreConflict));
    }
  }

  async #cancel(seen: Seen): Promise<void> {
    seen.isCancelAsked = true;
    await this.#persist('cancel', (client) => client.batches.cancel(seen.id).catch(ignoreConflict));
  }

  /** Reads what is there behind the cursor, by its own lines of text. */
  async #readEarly(seen: Seen, cursor: string): Promise<string> {
    const path = `/batches/${seen.id}/results?limit=10000${cursor === '' ? '' : `&after=${cursor}`}`;
    const page = await this.#persist('results', (client) => client.get<{ data: object[]; cursor: string }>(path));
    seen.early.push(...page.data.map((line) => JSON.stringify(line)));
    return page.cursor;
  }

  /** Also from both sides: two APIs show one thing. */
  async #readEnd(seen: Seen): Promise<void> {
    const batch = await this.#persist('retrieve', (client) => client.batches.retrieve(seen.id));
    seen.ends = [batch];
    const read = async (id: string | null | undefined): Promise<string[]> => {
      if (id == null) return [];
      const text = await this.#persist('content', async (client) => (await client.files.content(id)).text());
      if (!text.endsWith('\n')) seen.complaints.push('a results file does not end with a newline');
      return text.trimEnd().split('\n');
    };
    seen.output = await read(batch.output_file_id);
    seen.errors = await read(batch.error_file_id);
  }

  /** Once more, when all is quiet: nothing of an ended batch changes any more, whichever API is asked. */
  async readAgain(): Promise<void> {
    for (const seen of this.seen) {
      if (seen.ends.length === 0) continue;
      for (const client of this.#market.clients(this.plan.tenant)) {
        seen.ends.push(await client.batches.retrieve(seen.id));
        for (const [name, lines] of [
          ['output_file_id', seen.output],
          ['error_file_id', seen.errors],
        ] as const) {
          const id = seen.ends[0]?.[name];
          if (id == null) continue;
          const text = await (await client.files.content(id)).text();
          if (text !== `${lines.join('\n')}\n`) seen.complaints.push(`${name} reads otherwise the second time`);
        }
      }
    }
  }

  /** A call until it succeeds: what the SDK gave up is kept, and a refusal that is nobody's outage is a complaint. */
  async #persist<Result>(call: string, ask: (client: OpenAI) => PromiseLike<Result>): Promise<Result> {
    for (const client = this.#market.client(this.plan.tenant); ; await delay(AGAIN_MS)) {
      this.#market.signal.throwIfAborted();
      try {
        this.calls += 1;
        return await ask(client);
      } catch (error) {
        const status = error instanceof APIError ? ((error.status as number | undefined) ?? null) : null;
        const message = error instanceof Error ? error.message : String(error);
        this.failedCalls.push({ call, status, message });
        if (status !== null && status < 500 && status !== 429) {
          this.seen.at(-1)?.complaints.push(`${call} was refused: ${message}`);
        }
      }
    }
  }
}

/** A batch that ended before it was cancelled. */
function ignoreConflict(error: unknown): null {
  if (error instanceof APIError && error.status === 409) return null;
  throw error;
}
