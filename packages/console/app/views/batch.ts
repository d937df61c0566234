import type { BatchObject } from '@spillway/core';
import { counted } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { messageOf } from '../api.ts';
import { save } from '../download.ts';
import { ENDED } from '../ended.ts';
import { dateTime, fromNow } from '../format.ts';
import { OverTime } from '../parts/over-time.ts';
import { addressOf } from '../place.ts';
import type { BatchReport } from '../report.ts';
import type { Surroundings, View } from '../view.ts';
import { batchViews, madeFrom } from './batch-head.ts';
import { failures, figures, notes, savings, slowest, stages, waits } from './batch-parts.ts';
import { ThresholdTrial } from './threshold-trial.ts';

/** A report is read again no sooner than this: nobody reads faster. */
const REPORT_MS = 2_000;

/** One batch: how it goes, what it costs, what is promised, and what another threshold would do. */
export class BatchView implements View {
  readonly #surroundings: Surroundings;
  readonly #id: string;
  readonly #trial: ThresholdTrial;
  readonly #overTime: OverTime;
  #batch: BatchObject | null = null;
  #report: BatchReport | null = null;
  #problem: string | null = null;
  #isBusy = false;
  #readAtMs = 0;

  constructor(surroundings: Surroundings, id: string) {
    this.#surroundings = surroundings;
    this.#id = id;
    this.#trial = new ThresholdTrial(surroundings, id);
    this.#overTime = new OverTime(surroundings.signal);
    void this.#watch();
  }

  get title(): string {
    return this.#batch?.metadata?.['name'] ?? this.#id;
  }

  render(): TemplateResult {
    const batch = this.#batch;
    const problem = this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`;
    if (batch === null)
      return html`<h1>${this.#id}</h1>
        ${problem}
        <p class="hint">Looking …</p>`;
    const report = this.#report;
    return html`
      ${batchViews(this.#id, 'batch')}
      <h1>
        ${this.title}
        <span class="status ${batch.status}">${batch.status.replaceAll('_', ' ')}</span
        >${batch.spillway.paused ? html` <span class="status paused">paused</span>` : nothing}
      </h1>
      <p class="hint">
        <code>${batch.id}</code> ·
        ${batch.model ?? (batch.status === 'validating' ? 'being validated' : 'several cascades')} · made
        ${dateTime(batch.created_at)}${
          batch.expires_at === null || ENDED.has(batch.status)
            ? nothing
            : html` · due ${fromNow(batch.expires_at, Date.now())}`
        }
      </p>
      ${madeFrom(batch)} ${problem} ${this.#actions(batch)} ${notes(batch)}
      ${report === null ? nothing : html`${figures(batch, report)}${this.#overTime.render(report)}${this.#trial.render(report, ENDED.has(batch.status))}${stages(report)}${savings(report)}${waits(report)}${slowest(report)}${failures(report)}`}
    `;
  }

  #actions({
    status,
    output_file_id: output,
    error_file_id: errors,
    request_counts: counts,
    spillway: { paused, priority },
  }: BatchObject): TemplateResult {
    const isMoving = !ENDED.has(status) && status !== 'cancelling' && status !== 'finalizing';
    const isHigh = priority === 'high';
    // What an end cut short is no failure, and can be asked again, too.
    const unanswered = counts.total - counts.completed;
    const canRetry = ENDED.has(status) && status !== 'failed' && unanswered > 0;
    const fetchFile = (id: string, name: string) => () => void this.#download(id, name);
    return html`<div class="actions">
      ${output == null ? nothing : html`<button @click=${fetchFile(output, 'output')}>Download the answers</button>`}
      ${errors == null ? nothing : html`<button @click=${fetchFile(errors, 'errors')}>Download the errors</button>`}
      ${canRetry ? html`<button ?disabled=${this.#isBusy} @click=${() => this.#ask('retry', `Ask again about ${counted(unanswered, 'document')} without an answer?`)}>Retry what has no answer</button>` : nothing}
      ${
        isMoving
          ? html`<button ?disabled=${this.#isBusy} @click=${() => void this.#post(paused ? 'resume' : 'pause')}>
                ${paused ? 'Resume' : 'Pause'}
              </button>
              <button
                ?disabled=${this.#isBusy}
                aria-pressed=${isHigh}
                @click=${() => void this.#post('priority', { priority: isHigh ? 'normal' : 'high' })}
              >
                Go first
              </button>
              <button
                class="danger"
                ?disabled=${this.#isBusy}
                @click=${() => this.#ask('cancel', 'End this batch? What is finished stays.')}
              >
                Cancel
              </button>`
          : nothing
      }
    </div>`;
  }

  #ask(what: 'cancel' | 'retry', question: string): void {
    if (window.confirm(question)) void this.#post(what);
  }

  async #post(what: 'cancel' | 'retry' | 'pause' | 'resume' | 'priority', body: object = {}): Promise<void> {
    this.#isBusy = true;
    this.#surroundings.update();
    try {
      const made = await this.#surroundings.api.post<BatchObject>(`/batches/${this.#id}/${what}`, body);
      if (what === 'retry') location.hash = addressOf({ view: 'batch', batch: made.id });
      else this.#batch = made;
      this.#problem = null;
    } catch (error) {
      this.#tell(error);
    }
    this.#isBusy = false;
    this.#surroundings.update();
  }

  async #download(file: string, name: string): Promise<void> {
    try {
      save([await this.#surroundings.api.blob(`/files/${file}/content`)], `${this.#id}-${name}.jsonl`);
    } catch (error) {
      this.#tell(error);
    }
  }

  async #watch(): Promise<void> {
    const { api, signal, update } = this.#surroundings;
    try {
      for await (const batch of api.events(`/batches/${encodeURIComponent(this.#id)}/events`, signal)) {
        this.#batch = batch;
        update();
        const hasEnded = ENDED.has(batch.status);
        if (!hasEnded && performance.now() - this.#readAtMs < REPORT_MS) continue;
        const isRead = await this.#read();
        if (!hasEnded) continue;
        // Nothing of it changes any more.
        if (!isRead) await this.#readAgain();
        return;
      }
    } catch (error) {
      this.#tell(error);
    }
  }

  /** Of a batch that has ended, until it is there. */
  async #readAgain(): Promise<void> {
    do await new Promise((resolve) => setTimeout(resolve, REPORT_MS));
    while (!this.#surroundings.signal.aborted && !(await this.#read()));
  }

  /** Whether it was read. */
  async #read(): Promise<boolean> {
    const { api, signal, update } = this.#surroundings;
    this.#readAtMs = performance.now();
    try {
      this.#report = await api.get<BatchReport>(`/batches/${encodeURIComponent(this.#id)}/report`, signal);
      this.#problem = null;
      update();
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  #tell(error: unknown): void {
    if (this.#surroundings.signal.aborted) return;
    this.#problem = messageOf(error);
    this.#surroundings.update();
  }
}
