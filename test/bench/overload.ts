import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { APIError, OpenAI } from 'openai';
import { keyLines } from '../api/api-under-test.ts';
import { requestLine } from '../support/request-line.ts';
import { isOver, System, until } from '../support/system.ts';
import { quantile } from './figure.ts';
import { prompts, report, residentMiB } from './processes.ts';

/**
 * Several tenants submit many times as many documents as the tiers can answer, for minutes, each with the limits of its
 * key: what is refused and how soon, how long reads take meanwhile, what the processes' memory does, and what becomes of
 * everything that was accepted.
 *
 *     node test/bench/overload.ts [seconds] [times] [queued documents a tenant]
 */
const [SECONDS = 600, TIMES = 10, QUEUED = 2_000] = process.argv.slice(2).map(Number);

/** Each of a tier's calls takes so long, so the tiers answer a known number of documents a second. */
const LATENCY_MS = 100;
const CONCURRENCY = 8;
const SUSTAINABLE = (CONCURRENCY * 1_000) / LATENCY_MS;

/** Tenants differ in what they submit at a time. */
const TENANTS = [
  { tenant: 'small', documents: 10 },
  { tenant: 'middle', documents: 50 },
  { tenant: 'large', documents: 400 },
  { tenant: 'other', documents: 50 },
];
const POLL_MS = 200;
const MAX_DRAIN_MS = 1_800_000;

type Accepted = { readonly id: string; readonly documents: number };

/** A tenant that submits without heeding refusals, and looks after what was accepted. */
class Tenant {
  readonly name: string;
  readonly accepted: Accepted[] = [];
  readonly refusedMs: number[] = [];
  readonly readMs: number[] = [];
  readonly refusals = new Map<string, number>();
  offered = 0;
  withoutRetryAfter = 0;
  readonly #documents: number;
  readonly #client: OpenAI;

  constructor({ tenant, documents }: (typeof TENANTS)[number], client: OpenAI) {
    this.name = tenant;
    this.#documents = documents;
    this.#client = client;
  }

  get acceptedDocuments(): number {
    return this.accepted.reduce((sum, { documents }) => sum + documents, 0);
  }

  async submitUntil(endMs: number): Promise<void> {
    const everyMs = (this.#documents * TENANTS.length * 1_000) / (SUSTAINABLE * TIMES);
    const underWay = new Set<Promise<void>>();
    for (let next = performance.now(); next < endMs; next += everyMs) {
      await delay(Math.max(0, next - performance.now()));
      const work = this.#submit().finally(() => underWay.delete(work));
      underWay.add(work);
    }
    await Promise.all(underWay);
  }

  async readUntil(endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      const one = this.accepted[Math.floor(Math.random() * this.accepted.length)];
      if (one !== undefined) {
        const begunMs = performance.now();
        await this.#client.batches.retrieve(one.id);
        this.readMs.push(performance.now() - begunMs);
      }
      await delay(POLL_MS);
    }
  }

  /** Documents that were answered by now. */
  async answered(): Promise<number> {
    const batches = await Promise.all(this.accepted.map(({ id }) => this.#client.batches.retrieve(id)));
    return batches.reduce((sum, batch) => sum + (batch.request_counts?.completed ?? 0), 0);
  }

  /** Documents of what was accepted that have no line, or more than one. */
  async wrong(): Promise<number> {
    let wrong = 0;
    for (const { id, documents } of this.accepted) {
      await until(async () => isOver(await this.#client.batches.retrieve(id)), MAX_DRAIN_MS);
      const batch = await this.#client.batches.retrieve(id);
      const files = [batch.output_file_id, batch.error_file_id].filter((file) => file != null);
      const texts = await Promise.all(files.map(async (file) => (await this.#client.files.content(file)).text()));
      const lines = texts.flatMap((text) => text.trimEnd().split('\n'));
      const ids = new Set(lines.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id));
      wrong += Math.abs(documents - ids.size) + (lines.length - ids.size) + (batch.request_counts?.failed ?? documents);
    }
    return wrong;
  }

  async #submit(): Promise<void> {
    this.offered += this.#documents;
    const requests = prompts(this.#documents).map(
      (prompt, at) => JSON.parse(requestLine(prompt, `doc-${at}`)) as Record<string, unknown>,
    );
    const begunMs = performance.now();
    try {
      const body = { endpoint: '/v1/chat/completions', completion_window: '24h', requests };
      const { id } = await this.#client.post<OpenAI.Batch>('/batches', { body });
      this.accepted.push({ id, documents: this.#documents });
    } catch (error) {
      if (!(error instanceof APIError)) throw error;
      this.refusedMs.push(performance.now() - begunMs);
      const why = `${error.status} ${error.code ?? ''}`.trim();
      this.refusals.set(why, (this.refusals.get(why) ?? 0) + 1);
      if (error.headers?.get('retry-after') == null) this.withoutRetryAfter += 1;
    }
  }
}

const directory = await mkdtemp(join(tmpdir(), 'spillway-overload-'));
const keys = TENANTS.map(({ tenant }) => ({ tenant, key: randomUUID(), limits: { queued_documents: QUEUED } }));
await writeFile(join(directory, 'keys.jsonl'), keyLines(keys));
const model = { concurrency: CONCURRENCY, timeout_s: 60 };
await using system = await System.start({
  drafter: { record: false, latencyMs: LATENCY_MS },
  expert: { record: false, latencyMs: LATENCY_MS },
  models: { small: model, large: model },
  redis: { maxmemory: '512mb' },
  env: { SPILLWAY_API_KEYS: join(directory, 'keys.jsonl'), SPILLWAY_LOCK_MS: '30000', SPILLWAY_LEASE_MS: '10000' },
});
const tenants = TENANTS.map((one, at) => {
  const { baseURL } = system.client;
  return new Tenant(one, new OpenAI({ baseURL, apiKey: keys[at]?.key ?? '', maxRetries: 0 }));
});

/** Resident memory of every process, in MiB, and Redis' own count. */
async function memory(): Promise<Record<string, number>> {
  const own = system.services.map(({ name, child }) => [name, residentMiB(child.pid)] as const);
  const info = await system.redis.client.info('memory');
  const redis = Math.round(Number(/used_memory:(\d+)/.exec(info)?.[1]) / 1024 ** 2);
  return { ...Object.fromEntries(own), redis };
}

const startedMs = performance.now();
const endMs = startedMs + SECONDS * 1_000;
const work = tenants.flatMap((tenant) => [tenant.submitUntil(endMs), tenant.readUntil(endMs)]);
await delay((SECONDS * 1_000) / 4);
const early = await memory();
await Promise.all(work);
const late = await memory();
const settledAtEnd = await Promise.all(tenants.map(async (tenant) => [tenant.name, await tenant.answered()] as const));
const wrong = await Promise.all(tenants.map((tenant) => tenant.wrong()));
const drainedMs = performance.now() - endMs;
const refusals = new Map<string, number>();
for (const tenant of tenants)
  for (const [why, count] of tenant.refusals) refusals.set(why, (refusals.get(why) ?? 0) + count);
const readMs = tenants.flatMap((tenant) => tenant.readMs);
const refusedMs = tenants.flatMap((tenant) => tenant.refusedMs);
const rounded = (values: readonly number[], share: number): number => Math.round(quantile(values, share));
report({
  seconds: SECONDS,
  sustainable: SUSTAINABLE,
  offered: Math.round(tenants.reduce((sum, { offered }) => sum + offered, 0) / SECONDS),
  accepted: Object.fromEntries(tenants.map((tenant) => [tenant.name, tenant.acceptedDocuments])),
  answered: Object.fromEntries(settledAtEnd),
  refused: Object.fromEntries(refusals),
  withoutRetryAfter: tenants.reduce((sum, tenant) => sum + tenant.withoutRetryAfter, 0),
  refusedMs: { p50: rounded(refusedMs, 0.5), p99: rounded(refusedMs, 0.99) },
  readMs: { reads: readMs.length, p50: rounded(readMs, 0.5), p99: rounded(readMs, 0.99) },
  mib: { early, late },
  drainedS: Math.round(drainedMs / 1_000),
  lostDoubledOrFailed: wrong.reduce((sum, one) => sum + one, 0),
});
await rm(directory, { recursive: true, force: true });
