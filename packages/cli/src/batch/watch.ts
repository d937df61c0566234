import { setTimeout as delay } from 'node:timers/promises';
import { Unreachable, UserError, type ApiClient } from '../client.ts';
import type { Terminal } from '../terminal.ts';
import { holdLines, progressLines, progressWords } from './progress-text.ts';
import { batchObject, isEnded, reportObject, type BatchReport } from './report-object.ts';

/** A report costs the server the same for a thousand documents and for a million, and nobody reads faster. */
const LOOK_MS = 1_000;
/** The first looks, so that a small batch is not waited for longer than it takes. */
const FIRST_LOOKS_MS = [100, 200, 300, 500];
/** Beyond this a batch takes hours. */
const SELDOM_AFTER_MS = 10 * 60_000;
const SELDOM_LOOK_MS = 5_000;
/** Longer than a restart of the API takes. */
const MAX_AWAY_MS = 10 * 60_000;
/** Where lines are not written over, one for each such share of the documents, or so often. */
const PLAIN_SHARE = 0.1;
const PLAIN_EVERY_MS = 30_000;

export const batchPath = (id: string): string => `/batches/${encodeURIComponent(id)}`;

/** The report of a batch, as it was sent and as it is read. */
export async function readReport(api: ApiClient, id: string, signal?: AbortSignal) {
  const sent = await api.get(`${batchPath(id)}/report`, signal === undefined ? {} : { signal });
  return { sent, report: reportObject.parse(sent) };
}

export type Watch = {
  readonly api: ApiClient;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Each report as it was sent, for machines; null: for people. */
  readonly onReport: ((sent: unknown) => void) | null;
};

/** Shows how far a batch is until it has ended; the last report. Throws what the signal was aborted with. */
export async function watchBatch(id: string, { api, terminal, signal, onReport }: Watch): Promise<BatchReport> {
  const startedAtMs = performance.now();
  const plain = new PlainProgress(terminal);
  let answeredAtMs = startedAtMs;
  for (let look = 0; ; look += 1) {
    signal.throwIfAborted();
    try {
      const { sent, report } = await readReport(api, id, signal);
      answeredAtMs = performance.now();
      if (isEnded(report)) {
        terminal.clear();
        onReport?.(sent);
        return report;
      }
      if (onReport !== null) onReport(sent);
      else if (terminal.isLive) terminal.live(progressLines(report, terminal.paintSaid, Date.now()));
      else plain.show(report);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Unreachable)) throw error;
      if (performance.now() - answeredAtMs > MAX_AWAY_MS) throw error;
      terminal.live([`${error.message} (the batch is not lost by that; looking again)`]);
    }
    const isLong = performance.now() - startedAtMs > SELDOM_AFTER_MS;
    await pause(FIRST_LOOKS_MS[look] ?? (isLong ? SELDOM_LOOK_MS : LOOK_MS), signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Progress as lines that stay: at every tenth of the documents, and where something else changes. */
class PlainProgress {
  readonly #terminal: Terminal;
  #step = '';
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(report: BatchReport): void {
    const { documents, status } = report;
    const done = documents.completed + documents.failed;
    const share = documents.total === 0 ? 0 : Math.floor(done / documents.total / PLAIN_SHARE);
    const holds = holdLines({ ...report, waiting: report.waiting.map((one) => ({ ...one, since: null })) }, 0);
    const step = JSON.stringify([status, share, holds]);
    const now = performance.now();
    if (step === this.#step && now - this.#atMs < PLAIN_EVERY_MS) return;
    [this.#step, this.#atMs] = [step, now];
    this.#terminal.say([progressWords(report), ...holds].join('; '));
  }
}

/** Why a batch failed its validation, as one error. */
export async function failureOf(api: ApiClient, id: string): Promise<UserError> {
  const { errors } = batchObject.parse(await api.get(batchPath(id)));
  const lines = (errors?.data ?? []).map(({ line, message }) => (line == null ? message : `line ${line}: ${message}`));
  return new UserError(`${id} failed: ${lines.slice(0, 5).join('; ') || 'the server does not say why'}`);
}
