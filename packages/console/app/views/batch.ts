import type { BatchObject } from '@spillway/core';
import { count, dollars, percent, perSecond } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { Refusal } from '../api.ts';
import { save } from '../download.ts';
import { dateTime, dollarRange, fromNow, milliseconds, share, timeRange } from '../format.ts';
import { OverTime } from '../parts/over-time.ts';
import { partsOf, statesBar } from '../parts/states.ts';
import { waitBar } from '../parts/wait-bar.ts';
import { addressOf } from '../place.ts';
import { thresholdWords } from '../promise-words.ts';
import type { BatchReport } from '../report.ts';
import type { Surroundings, View } from '../view.ts';
import { batchViews } from './batch-head.ts';
import { ThresholdTrial } from './threshold-trial.ts';

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled']);

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
        <code>${batch.id}</code> · ${batch.model ?? 'several cascades'} · made
        ${dateTime(batch.created_at)}${
          batch.expires_at === null ? nothing : html` · due ${fromNow(batch.expires_at, Date.now())}`
        }
      </p>
      ${problem} ${this.#actions(batch)} ${notes(batch)}
      ${report === null ? nothing : html`${figures(batch, report)}${this.#overTime.render(report)}${this.#trial.render(report, ENDED.has(batch.status))}${stages(report)}${waits(report)}${failures(report)}`}
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
    const canRetry = ENDED.has(status) && counts.failed > 0;
    const fetchFile = (id: string, name: string) => () => void this.#download(id, name);
    return html`<div class="actions">
      ${output == null ? nothing : html`<button @click=${fetchFile(output, 'output')}>Download the answers</button>`}
      ${errors == null ? nothing : html`<button @click=${fetchFile(errors, 'errors')}>Download the errors</button>`}
      ${canRetry ? html`<button ?disabled=${this.#isBusy} @click=${() => this.#ask('retry', 'Ask again what failed?')}>Retry what failed</button>` : nothing}
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
      const text = await this.#surroundings.api.text(`/files/${file}/content`);
      save([text], `${this.#id}-${name}.jsonl`);
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
        if (hasEnded || performance.now() - this.#readAtMs >= REPORT_MS) await this.#read();
        // Nothing of it changes any more.
        if (hasEnded) return;
      }
    } catch (error) {
      this.#tell(error);
    }
  }

  async #read(): Promise<void> {
    const { api, signal, update } = this.#surroundings;
    this.#readAtMs = performance.now();
    this.#report = await api.get<BatchReport>(`/batches/${encodeURIComponent(this.#id)}/report`, signal);
    update();
  }

  #tell(error: unknown): void {
    if (this.#surroundings.signal.aborted) return;
    this.#problem = error instanceof Refusal || error instanceof Error ? error.message : String(error);
    this.#surroundings.update();
  }
}

/** What somebody should know, and look at. */
function notes({ spillway, errors }: BatchObject): TemplateResult {
  const { waiting, warnings, thresholds, audits, progress } = spillway;
  const alarms = audits.filter(({ alarm }) => alarm !== null);
  return html`
    ${(errors?.data ?? []).slice(0, 5).map(({ message, line }) => html`<p class="note bad">${line === null ? '' : `Line ${line}: `}${message}</p>`)}
    ${progress.at_risk === true ? html`<p class="note bad">Its window will probably be missed.</p>` : nothing}
    ${alarms.map(
      ({ disagreed, done, at_most: most }) =>
        html`<p class="note bad">
          ${count(disagreed)} of ${count(done)} audited drafts disagree with the expert; ${share(most)} may.
        </p>`,
    )}
    ${warnings.map(({ message }) => html`<p class="note bad">${message}</p>`)}
    ${waiting.map(({ tier, state, reason }) => html`<p class="note">${tier ?? 'All of it'}: ${state.replaceAll('_', ' ')}. ${reason}</p>`)}
    ${thresholds.map((one) => html`<p class="note ${one.outcome === 'certified' ? 'good' : ''}">${thresholdWords(one)}</p>`)}
  `;
}

function figures({ spillway, request_counts: counts, status }: BatchObject, report: BatchReport): TemplateResult {
  const { progress } = spillway;
  const { cascade, all_expert: expert } = report.counterfactuals;
  const parts = partsOf(report.documents);
  const saved = expert.usd > 0 ? 1 - cascade.usd / expert.usd : null;
  const isMoving = status === 'in_progress';
  return html`<section aria-label="How it goes">
    ${statesBar(parts)}
    <ul class="legend">
      ${parts.map(({ kind, label, documents }) => html`<li><span class="swatch ${kind}"></span>${count(documents)} ${label}</li>`)}
    </ul>
    <dl class="figures">
      ${figure('Documents', count(counts.total))}
      ${figure('Escalated', report.escalated_share === null ? '–' : share(report.escalated_share))}
      ${isMoving && progress.documents_per_second !== null ? figure('Rate', perSecond(progress.documents_per_second)) : nothing}
      ${isMoving && progress.left_seconds !== null ? figure('Time left', timeRange(progress.left_seconds)) : nothing}
      ${progress.spent_usd === null ? nothing : figure('Spent', dollars(progress.spent_usd))}
      ${progress.projected_usd === null ? nothing : figure('In the end', dollarRange(progress.projected_usd))}
      ${expert.usd > 0 ? figure('All by the expert', `${dollars(expert.usd)}${saved === null ? '' : saved >= 0 ? ` (${percent(saved)} saved)` : ` (${percent(-saved)} MORE)`}`) : nothing}
      ${figure('Accepted, median', milliseconds(report.latency_ms.accepted.p50))}
      ${figure('Escalated, median', milliseconds(report.latency_ms.escalated.p50))}
    </dl>
  </section>`;
}

const figure = (name: string, value: string): TemplateResult =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;

function stages({ stages: all }: BatchReport): TemplateResult {
  return html`<section>
    <h2>Stages</h2>
    <div class="table" role="region" aria-label="Stages" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="number">Final</th>
            <th scope="col" class="number">Escalated</th>
            <th scope="col" class="number">Failed</th>
            <th scope="col" class="number">Call, median</th>
            <th scope="col" class="number">Money</th>
            <th scope="col">Why escalated</th>
          </tr>
        </thead>
        <tbody>
          ${all.map(
            ({ model, role, cascade, documents, inference_ms: calls, usd, reasons }) =>
              html`<tr>
                <th scope="row">${model}<small>${role} of ${cascade}</small></th>
                <td class="number">${count(documents.accepted + documents.answered)}</td>
                <td class="number">${count(documents.escalated)}</td>
                <td class="number">${count(documents.failed)}</td>
                <td class="number">${milliseconds(calls.p50)}</td>
                <td class="number">${dollars(usd)}</td>
                <td>
                  ${reasons.map(({ reason, count: many }) => `${reason.replaceAll('_', ' ')} ${count(many)}`).join(', ')}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function waits(report: BatchReport): TemplateResult | typeof nothing {
  const bar = waitBar(report);
  if (bar === null) return nothing;
  const { ms } = report.sequential_wait;
  const { usd, drafter_seconds: wasted } = report.wasted;
  return html`<section>
    <h2>The sequential wait</h2>
    <p>
      An escalated document waited ${milliseconds(ms.p50)} (median) until its last stage was asked. Drafts that were not
      final took ${milliseconds(wasted * 1000)} of the drafters’ time${usd > 0 ? ` and ${dollars(usd)}` : ''}.
    </p>
    ${bar}
  </section>`;
}

function failures({ failures: all }: BatchReport): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  return html`<section>
    <h2>Without an answer</h2>
    <ul>
      ${all.map(
        ({ status, code, count: many, said }) =>
          html`<li>
            ${count(many)} × ${status ?? code ?? 'unknown'}${said === null ? nothing : html`: <q>${said}</q>`}
          </li>`,
      )}
    </ul>
  </section>`;
}
