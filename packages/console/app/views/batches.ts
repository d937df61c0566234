import type { BatchObject } from '@spillway/core';
import { count, dollars, perSecond } from '@spillway/core/amounts';
import { html, type TemplateResult } from 'lit-html';
import { live } from 'lit-html/directives/live.js';
import { repeat } from 'lit-html/directives/repeat.js';
import { messageOf, Refusal } from '../api.ts';
import { ENDED } from '../ended.ts';
import { dateTime, dollarRange, fromNow, timeRange } from '../format.ts';
import { partsOf, statesBar } from '../parts/states.ts';
import type { Surroundings, View } from '../view.ts';

type Listed = { readonly data: readonly BatchObject[]; readonly has_more: boolean };

const PAGE = 50;
const FILTERS = ['all', 'at work', 'ended', 'with problems'] as const;
type Filter = (typeof FILTERS)[number];

/** All batches, newest first, as they go. */
export class BatchesView implements View {
  readonly title = 'Batches';
  readonly #surroundings: Surroundings;
  readonly #batches = new Map<string, BatchObject>();
  #filter: Filter = 'all';
  #search = '';
  #hasMore = false;
  #isRead = false;
  #problem: string | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    void this.#read();
    void this.#watch();
  }

  render(): TemplateResult {
    const shown = this.#shown();
    return html`
      <h1>Batches</h1>
      ${this.#problem === null ? '' : html`<p role="alert">${this.#problem}</p>`}
      <form class="filters" role="search" @submit=${(event: Event) => event.preventDefault()}>
        <label>
          Search
          <input
            type="search"
            placeholder="id, cascade, label"
            .value=${live(this.#search)}
            @input=${(event: InputEvent) => this.#searchFor((event.target as HTMLInputElement).value)}
          />
        </label>
        <fieldset>
          <legend>Show</legend>
          ${FILTERS.map(
            (one) =>
              html`<label>
                <input
                  type="radio"
                  name="filter"
                  .checked=${live(one === this.#filter)}
                  @change=${() => this.#show(one)}
                />
                ${one}
              </label>`,
          )}
        </fieldset>
      </form>
      ${shown.length === 0 ? html`<p class="hint">${this.#nothing()}</p>` : this.#table(shown)}
      ${this.#hasMore ? html`<button @click=${() => void this.#read()}>Older ones</button>` : ''}
    `;
  }

  #table(shown: readonly BatchObject[]): TemplateResult {
    return html`<div class="table" role="region" aria-label="Batches" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Batch</th>
            <th scope="col">Status</th>
            <th scope="col">Documents</th>
            <th scope="col" class="number">Rate</th>
            <th scope="col" class="number">Time left</th>
            <th scope="col" class="number">Money</th>
            <th scope="col">Promise</th>
          </tr>
        </thead>
        <tbody>
          ${repeat(shown, ({ id }) => id, row)}
        </tbody>
      </table>
    </div>`;
  }

  #nothing(): string {
    if (!this.#isRead) return 'Looking …';
    return this.#batches.size === 0
      ? 'There is no batch yet. New batch makes one of files or a folder, and so do spillway run and any OpenAI client.'
      : 'No batch is like that.';
  }

  #shown(): BatchObject[] {
    const words = this.#search.toLowerCase().split(/\s+/).filter(Boolean);
    return [...this.#batches.values()]
      .filter((batch) => isKind(batch, this.#filter) && words.every((word) => textOf(batch).includes(word)))
      .toSorted((left, right) => right.created_at - left.created_at || (left.id < right.id ? 1 : -1));
  }

  #searchFor(text: string): void {
    this.#search = text;
    this.#surroundings.update();
  }

  #show(filter: Filter): void {
    this.#filter = filter;
    this.#surroundings.update();
  }

  /** Reads the next older page. */
  async #read(): Promise<void> {
    const { api, update, signal } = this.#surroundings;
    const oldest = [...this.#batches.values()].toSorted((left, right) => left.created_at - right.created_at)[0];
    const after = this.#isRead && oldest !== undefined ? `&after=${encodeURIComponent(oldest.id)}` : '';
    try {
      const { data, has_more: hasMore } = await api.get<Listed>(`/batches?limit=${PAGE}${after}`, signal);
      for (const batch of data) this.#batches.set(batch.id, batch);
      this.#hasMore = hasMore;
      this.#problem = null;
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = messageOf(error);
    }
    this.#isRead = true;
    update();
  }

  async #watch(): Promise<void> {
    const { api, update, signal } = this.#surroundings;
    try {
      for await (const batch of api.events('/batches/events', signal)) {
        this.#batches.set(batch.id, batch);
        update();
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}

const textOf = ({ id, model, status, metadata }: BatchObject): string =>
  [id, model ?? '', status, ...Object.values(metadata ?? {})].join(' ').toLowerCase();

function isKind({ status, request_counts: counts, spillway }: BatchObject, filter: Filter): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'at work':
      return !ENDED.has(status);
    case 'ended':
      return ENDED.has(status);
    case 'with problems':
      return (
        status === 'failed' ||
        status === 'expired' ||
        (status === 'cancelled' && counts.completed < counts.total) ||
        counts.failed > 0 ||
        spillway.warnings.length > 0 ||
        spillway.progress.at_risk === true ||
        spillway.audits.some(({ alarm }) => alarm !== null)
      );
  }
}

function row(batch: BatchObject): TemplateResult {
  const { id, status, model, metadata, request_counts: counts, spillway } = batch;
  const { progress, waiting } = spillway;
  const [held] = waiting;
  const isMoving = status === 'in_progress';
  const name = metadata?.['name'] ?? null;
  return html`<tr>
    <th scope="row">
      <a href="#/batches/${encodeURIComponent(id)}">${name ?? id}</a>
      <small
        >${name === null ? '' : html`<code>${id}</code> · `}${model ?? (status === 'validating' ? 'being validated' : 'several cascades')}
        · ${dateTime(batch.created_at)}</small
      >
    </th>
    <td>
      <span class="status ${status}">${status.replaceAll('_', ' ')}</span>
      ${held === undefined ? '' : html`<small title=${held.reason}>${held.state.replaceAll('_', ' ')}</small>`}
    </td>
    <td>
      ${statesBar(partsOf({ ...counts, ...spillway.documents, hasEnded: ENDED.has(status) }))}
      <small>${count(counts.completed + counts.failed)} of ${count(counts.total)}</small>
    </td>
    <td class="number">
      ${isMoving && progress.documents_per_second !== null ? perSecond(progress.documents_per_second) : ''}
    </td>
    <td class="number ${progress.at_risk === true ? 'risk' : ''}">
      ${isMoving && progress.left_seconds !== null ? timeRange(progress.left_seconds) : ''}
      ${isMoving && batch.expires_at !== null ? html`<small>due ${fromNow(batch.expires_at, Date.now())}</small>` : ''}
    </td>
    <td class="number">
      ${progress.spent_usd === null ? '' : dollars(progress.spent_usd)}
      ${progress.projected_usd === null ? '' : html`<small>${dollarRange(progress.projected_usd)} in all</small>`}
      ${besideExpert(progress)}
    </td>
    <td>${promise(batch)}</td>
  </tr>`;
}

/** What the expert alone would have cost for what is settled; nothing while nothing is, and where it costs as much. */
function besideExpert({ spent_usd: spent, all_expert_usd: expert }: BatchObject['spillway']['progress']) {
  if (spent === null || expert === null || expert === 0 || dollars(spent) === dollars(expert)) return '';
  return html`<small>by the expert alone ${dollars(expert)}</small>`;
}

function promise({ spillway: { thresholds, audits } }: BatchObject): TemplateResult {
  const alarm = audits.some((one) => one.alarm !== null);
  return html`${thresholds.map(
    ({ outcome }) => html`<span class="promise ${outcome}">${outcome.replaceAll('_', ' ')}</span>`,
  )}${alarm ? html`<strong class="alarm">alarm</strong>` : ''}`;
}
