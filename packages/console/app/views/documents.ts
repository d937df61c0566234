import { messageOf } from '../api.ts';
import type { BatchObject, ResultLine } from '@spillway/core';
import { count, counted } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { live } from 'lit-html/directives/live.js';
import { conditionOf, NO_CHOICES, type Choices } from '../condition.ts';
import { save } from '../download.ts';
import { dollarRange } from '../format.ts';
import { addressOf } from '../place.ts';
import { SELECTIONS, type Preview, type Selection } from '../redecision.ts';
import { answerOf, confidenceOf, errorOf, reasonOf } from '../result.ts';
import type { Surroundings, View } from '../view.ts';
import { batchViews } from './batch-head.ts';

const PAGE = 100;
/** Of an answer that is listed: what one sees in a line or two. */
const SHOWN_CHARACTERS = 200;
/** An export is read by so many at a time. */
const EXPORTED = 1_000;

/** What a new batch of some documents would come to, before somebody makes it. */
type Offer = Preview & { readonly selection: Selection };

type Found = { readonly searched: number; readonly of: number; readonly found: number };

/** The documents of a batch that fit a condition, as a search finds them. */
export class DocumentsView implements View {
  readonly title: string;
  readonly #surroundings: Surroundings;
  readonly #batch: string;
  /** What is written in the form, and what was searched for. */
  #where: string;
  #searched: string;
  #choices: Choices = NO_CHOICES;
  #lines: ResultLine[] = [];
  #found: Found | null = null;
  #cursor: string | null = null;
  #isSearching = false;
  #exported: string | null = null;
  #preview: Offer | null = null;
  #problem: string | null = null;
  #search = new AbortController();

  constructor(surroundings: Surroundings, batch: string, where: string) {
    this.#surroundings = surroundings;
    this.#batch = batch;
    this.#where = where;
    this.#searched = where;
    this.title = `Documents of ${batch}`;
    surroundings.signal.addEventListener('abort', () => this.#search.abort(), { once: true });
    void this.#run(null);
  }

  render(): TemplateResult {
    return html`
      ${batchViews(this.#batch, 'documents')}
      <h1>Documents</h1>
      <p class="hint">of <code>${this.#batch}</code></p>
      ${this.#form()} ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`}
      <p aria-live="polite" class="hint">${this.#progress()}</p>
      ${this.#lines.length === 0 ? nothing : html`${this.#actions()}${this.#preview === null ? nothing : this.#offer(this.#preview)}${this.#table()}`}
      ${this.#cursor === null ? nothing : html`<button @click=${() => void this.#run(this.#cursor)}>More</button>`}
    `;
  }

  #form(): TemplateResult {
    const { text, by, reason, from, to, attempts } = this.#choices;
    const number = (name: 'from' | 'to' | 'attempts', label: string, value: string, step: string): TemplateResult =>
      html`<label>${label} <input type="number" name=${name} min="0" step=${step} .value=${live(value)} /></label>`;
    return html`<form
      class="search"
      role="search"
      @input=${(event: Event) => this.#choose(event)}
      @submit=${(event: Event) => this.#submit(event)}
    >
      <label>Words in id or answer <input type="search" name="text" .value=${live(text)} /></label>
      <label
        >Answered by
        <select name="by" .value=${live(by)}>
          <option value="">anybody</option>
          <option value="drafter">a drafter</option>
          <option value="expert">the expert</option>
          <option value="nobody">nobody</option>
        </select></label
      >
      <label>Escalated because <input name="reason" placeholder="low_confidence" .value=${live(reason)} /></label>
      ${number('from', 'Confidence from', from, 'any')} ${number('to', 'below', to, 'any')}
      ${number('attempts', 'Attempts from', attempts, '1')}
      <label class="wide"
        >Condition
        <input
          name="where"
          class="code"
          spellcheck="false"
          placeholder='confidence < .8 and answer ~ "due at once"'
          .value=${live(this.#where)}
      /></label>
      <button>Search</button>
    </form>`;
  }

  #progress(): string {
    if (this.#found === null) return this.#isSearching ? 'Searching …' : '';
    const { searched, of, found } = this.#found;
    const far = `searched ${count(searched)} of ${count(of)}, found ${count(found)}`;
    return this.#isSearching ? `Searching: ${far}` : far;
  }

  #actions(): TemplateResult {
    const review = addressOf({ view: 'review', batch: this.#batch, where: this.#searched });
    return html`<div class="actions">
      <button @click=${() => void this.#export()}>Export what is found</button>
      <a class="button" href=${review}>Review these</a>
      ${(['escalate', 'ask_again'] as const).map(
        (selection) =>
          html`<button ?disabled=${this.#searched.trim() === ''} @click=${() => void this.#look(selection)}>
            ${SELECTIONS[selection].button} these …
          </button>`,
      )}
      ${this.#exported === null ? nothing : html`<span class="hint" role="status">${this.#exported}</span>`}
    </div>`;
  }

  #offer({ documents, usd, selection }: Offer): TemplateResult {
    const { button, says, does } = SELECTIONS[selection];
    const cost = usd === null ? '' : `, for about ${dollarRange({ low: usd.least, high: usd.most })}`;
    return html`<section aria-label="A new batch">
      <p>
        In a new batch ${says} <code>${this.#searched}</code> ${does}: ${counted(documents.asked, 'document')} asked
        about${cost}; ${count(documents.kept)} answers stay.
      </p>
      <div class="actions">
        <button class="primary" ?disabled=${documents.asked === 0} @click=${() => void this.#make(selection)}>
          ${button} ${count(documents.asked)}
        </button>
        <button @click=${() => this.#dismiss()}>Leave it</button>
      </div>
    </section>`;
  }

  #dismiss(): void {
    this.#preview = null;
    this.#surroundings.update();
  }

  /** What it would come to, before anybody says so. */
  async #look(selection: Selection): Promise<void> {
    await this.#work(async () => {
      const seen = await this.#surroundings.api.post<Preview>(this.#redecide('?preview=true'), this.#wish(selection));
      this.#preview = { ...seen, selection };
    });
  }

  async #make(selection: Selection): Promise<void> {
    await this.#work(async () => {
      const { id } = await this.#surroundings.api.post<BatchObject>(this.#redecide(''), this.#wish(selection));
      location.hash = addressOf({ view: 'batch', batch: id });
    });
  }

  #wish(selection: Selection): object {
    return { [selection]: this.#searched };
  }

  #redecide(query: string): string {
    return `/batches/${encodeURIComponent(this.#batch)}/redecide${query}`;
  }

  async #work(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#problem = null;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    this.#surroundings.update();
  }

  #table(): TemplateResult {
    return html`<div class="table" role="region" aria-label="Documents" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Document</th>
            <th scope="col">Answer</th>
            <th scope="col">By</th>
            <th scope="col" class="number">Confidence</th>
            <th scope="col">Reason</th>
            <th scope="col" class="number">Attempts</th>
          </tr>
        </thead>
        <tbody>
          ${this.#lines.map((line) => this.#row(line))}
        </tbody>
      </table>
    </div>`;
  }

  #row(line: ResultLine): TemplateResult {
    const { custom_id: customId, cascade } = line;
    const error = errorOf(line);
    const text = error ?? answerOf(line) ?? '';
    const confidence = confidenceOf(line);
    const name = customId ?? '(no id)';
    const address = customId === null ? null : addressOf({ view: 'document', batch: this.#batch, customId });
    return html`<tr>
      <th scope="row">${address === null ? name : html`<a href=${address}>${name}</a>`}</th>
      <td class=${error === null ? 'answer' : 'answer risk'}>
        ${text.slice(0, SHOWN_CHARACTERS)}${text.length > SHOWN_CHARACTERS ? '…' : ''}
      </td>
      <td>
        ${error === null ? (cascade?.model ?? '') : ''}<small>${error === null ? (cascade?.role ?? '') : ''}</small>
      </td>
      <td class="number">${confidence === null ? '' : confidence.toFixed(3)}</td>
      <td>${(reasonOf(line) ?? '').replaceAll('_', ' ')}</td>
      <td class="number">${cascade?.stages.reduce((sum, { attempts }) => sum + attempts, 0) ?? ''}</td>
    </tr>`;
  }

  #choose(event: Event): void {
    const { name, value } = event.target as HTMLInputElement;
    if (name === 'where') {
      // What is written by hand says all of it.
      [this.#where, this.#choices] = [value, NO_CHOICES];
    } else {
      this.#choices = { ...this.#choices, [name]: value };
      this.#where = conditionOf(this.#choices);
    }
    this.#surroundings.update();
  }

  #submit(event: Event): void {
    event.preventDefault();
    this.#searched = this.#where;
    history.replaceState(null, '', addressOf({ view: 'documents', batch: this.#batch, where: this.#where }));
    void this.#run(null);
  }

  #query(more: Readonly<Record<string, string>>): URLSearchParams {
    return new URLSearchParams({ ...(this.#searched.trim() === '' ? {} : { where: this.#searched }), ...more });
  }

  /** Searches from the beginning, or on from a cursor. */
  async #run(after: string | null): Promise<void> {
    this.#search.abort();
    const search = new AbortController();
    this.#search = search;
    const { api, update } = this.#surroundings;
    if (after === null) [this.#lines, this.#found, this.#preview] = [[], null, null];
    [this.#isSearching, this.#cursor, this.#problem] = [true, null, null];
    update();
    const before = this.#found?.found ?? 0;
    try {
      const query = this.#query({ limit: `${PAGE}`, ...(after === null ? {} : { after }) });
      for await (const one of api.search(this.#batch, query, search.signal)) {
        if (one.kind === 'result') this.#lines.push(one.line);
        else this.#found = { searched: one.searched, of: one.of, found: before + one.found };
        if (one.kind === 'end') this.#cursor = one.has_more === true ? (one.cursor ?? null) : null;
        update();
      }
    } catch (error) {
      if (search.signal.aborted) return;
      this.#problem = messageOf(error);
    }
    this.#isSearching = false;
    update();
  }

  /** Saves every result that fits, as the API's own lines. */
  async #export(): Promise<void> {
    const { api, update, signal } = this.#surroundings;
    const lines: string[] = [];
    try {
      for (let after: string | null = ''; after !== null;) {
        const query = this.#query({ limit: `${EXPORTED}`, ...(after === '' ? {} : { after }) });
        after = null;
        for await (const one of api.search(this.#batch, query, signal)) {
          if (one.kind === 'result') lines.push(`${JSON.stringify(one.line)}\n`);
          if (one.kind === 'end' && one.has_more === true) after = one.cursor ?? null;
          this.#exported = `${count(lines.length)} results …`;
        }
        update();
      }
      save(lines, `${this.#batch}-found.jsonl`);
      this.#exported = `${count(lines.length)} results saved`;
    } catch (error) {
      this.#exported = null;
      this.#problem = messageOf(error);
    }
    update();
  }
}
