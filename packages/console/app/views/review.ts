import type { ResultLine } from '@spillway/core';
import { count } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { messageOf, Refusal } from '../api.ts';
import { save } from '../download.ts';
import { addressOf } from '../place.ts';
import { answerOf, confidenceOf, valuesOf } from '../result.ts';
import type { Surroundings, View } from '../view.ts';
import { batchViews } from './batch-head.ts';
import { documentParts, documentPath, type ShownDocument } from './document.ts';

/** Documents that are looked for at a time. */
const QUEUED = 50;
/** As many as a search finds. */
const MAX_FOUND = 1_000;

type Reviews = {
  readonly data: readonly { readonly custom_id: string; readonly answer: string }[];
  readonly cursor: string | null;
  readonly has_more: boolean;
};

/** Answers one after the other, least sure first: somebody says whether each is right, with the keyboard alone. */
export class ReviewView implements View {
  readonly title: string;
  readonly #surroundings: Surroundings;
  readonly #batch: string;
  readonly #where: string;
  #queue: ResultLine[] = [];
  readonly #skipped = new Set<string>();
  #shown: ShownDocument | null = null;
  #done = 0;
  #isLooking = true;
  #corrects = false;
  #isBusy = false;
  /** What was not saved at once. */
  #doubted: string | null = null;
  #problem: string | null = null;

  constructor(surroundings: Surroundings, batch: string, where: string) {
    this.#surroundings = surroundings;
    this.#batch = batch;
    this.#where = where;
    this.title = `Review of ${batch}`;
    document.addEventListener('keydown', (event) => this.#key(event), { signal: surroundings.signal });
    void this.#fill();
  }

  render(): TemplateResult {
    const [line] = this.#queue;
    return html`
      ${batchViews(this.#batch, 'review')}
      <h1>Review</h1>
      <p class="hint">
        Least sure first${this.#where === '' ? '' : html`, of those where <code>${this.#where}</code>`}. What you say
        makes labels for a calibration; the files stay as they are.
        <button class="plain" @click=${() => void this.#labels()}>Save the labels</button>
      </p>
      ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`}
      <p role="status" class="hint">${this.#done === 0 ? '' : `${count(this.#done)} reviewed in this tab`}</p>
      ${line === undefined ? html`<p>${this.#isLooking ? 'Looking for the least sure answers …' : 'Nothing is left to review.'}</p>` : this.#one(line)}
    `;
  }

  #one(line: ResultLine): TemplateResult {
    const confidence = confidenceOf(line);
    return html`<article>
      <h2>
        <a href=${addressOf({ view: 'document', batch: this.#batch, customId: line.custom_id ?? '' })}
          >${line.custom_id}</a
        >
        ${confidence === null ? nothing : html`<span class="status">confidence ${confidence.toFixed(3)}</span>`}
      </h2>
      ${this.#corrects ? this.#correction(line) : this.#choice()}
      ${this.#shown === null ? html`<p class="hint">Looking …</p>` : documentParts(this.#shown)}
    </article>`;
  }

  #choice(): TemplateResult {
    return html`<div class="actions">
      <button aria-keyshortcuts="a" @click=${() => void this.#say({ verdict: 'accepted' })}>
        <kbd>a</kbd> It is right
      </button>
      <button aria-keyshortcuts="c" @click=${() => this.#correct(true)}><kbd>c</kbd> Correct it</button>
      <button aria-keyshortcuts="s" @click=${() => this.#skip()}><kbd>s</kbd> Skip</button>
    </div>`;
  }

  #correction(line: ResultLine): TemplateResult {
    return html`<form @submit=${(event: SubmitEvent) => this.#submit(event)}>
      <label class="wide" for="right">The right answer</label>
      <textarea id="right" name="answer" rows="6" spellcheck="false" .defaultValue=${answerOf(line) ?? ''}></textarea>
      <p class="actions">
        <button><kbd>Ctrl Enter</kbd> Save</button>
        <button type="button" @click=${() => this.#correct(false)}><kbd>Esc</kbd> Back</button>
      </p>
    </form>`;
  }

  #key(event: KeyboardEvent): void {
    const isWriting = event.target instanceof HTMLElement && /^(?:INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === 'Escape' && this.#corrects) return this.#correct(false);
    if (event.key === 'Enter' && event.ctrlKey && event.target instanceof HTMLTextAreaElement)
      event.target.form?.requestSubmit();
    // Nobody has seen what is not shown yet, and a key that is held down says nothing.
    if (event.repeat || this.#shown === null || this.#isBusy) return;
    if (isWriting || event.ctrlKey || event.metaKey || event.altKey || this.#queue.length === 0 || this.#corrects)
      return;
    if (event.key === 'a') void this.#say({ verdict: 'accepted' });
    else if (event.key === 'c') {
      event.preventDefault();
      this.#correct(true);
    } else if (event.key === 's') this.#skip();
  }

  #correct(corrects: boolean): void {
    this.#corrects = corrects;
    this.#surroundings.update();
    if (corrects) requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector('textarea')?.focus()));
    else document.querySelector('main')?.focus();
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    const answer = new FormData(event.target as HTMLFormElement).get('answer');
    if (typeof answer !== 'string') return;
    const [line] = this.#queue;
    const given = line === undefined ? null : answerOf(line);
    const breaksJson = given !== null && valuesOf(given) !== null && valuesOf(answer) === null;
    if (breaksJson && this.#doubted !== answer) {
      this.#doubted = answer;
      this.#problem = 'The answer was JSON, and this is none. Saved once more it stands as it is.';
      return this.#surroundings.update();
    }
    void this.#say({ verdict: 'corrected', answer });
  }

  #skip(): void {
    if (this.#isBusy) return;
    const customId = this.#queue[0]?.custom_id;
    if (typeof customId === 'string') this.#skipped.add(customId);
    void this.#next();
  }

  async #say(said: { readonly verdict: string; readonly answer?: string }): Promise<void> {
    const [line] = this.#queue;
    if (line === undefined || this.#isBusy || this.#shown === null) return;
    const { api, update } = this.#surroundings;
    const { custom_id: customId } = line;
    this.#isBusy = true;
    try {
      await api.post(`/batches/${encodeURIComponent(this.#batch)}/reviews`, { custom_id: customId, ...said });
      this.#done += 1;
      this.#problem = null;
    } catch (error) {
      this.#problem = messageOf(error);
      // Somebody else was faster: the next one.
      if (!(error instanceof Refusal) || error.code !== 'already_reviewed') {
        this.#isBusy = false;
        return update();
      }
    }
    this.#isBusy = false;
    if (this.#queue[0] === line) await this.#next();
  }

  async #next(): Promise<void> {
    this.#queue.shift();
    this.#corrects = false;
    this.#shown = null;
    document.querySelector('main')?.focus();
    if (this.#queue.length === 0) await this.#fill();
    else await this.#show();
  }

  /** The least sure answers that nobody has reviewed. */
  async #fill(): Promise<void> {
    const { api, signal, update } = this.#surroundings;
    const own = 'not reviewed and error = null and custom_id != null';
    const where = this.#where === '' ? own : `(${this.#where}) and ${own}`;
    this.#isLooking = true;
    update();
    try {
      const query = new URLSearchParams({
        where,
        sort: 'confidence',
        limit: `${Math.min(MAX_FOUND, QUEUED + this.#skipped.size)}`,
      });
      const found: ResultLine[] = [];
      for await (const one of api.search(this.#batch, query, signal)) if (one.kind === 'result') found.push(one.line);
      this.#queue = found.filter(({ custom_id: customId }) => customId !== null && !this.#skipped.has(customId));
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = messageOf(error);
    }
    this.#isLooking = false;
    await this.#show();
  }

  async #show(): Promise<void> {
    const { api, signal, update } = this.#surroundings;
    const [line] = this.#queue;
    update();
    if (typeof line?.custom_id !== 'string') return;
    try {
      const shown = await api.get<ShownDocument>(documentPath(this.#batch, line.custom_id), signal);
      if (this.#queue[0] === line) this.#shown = shown;
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = messageOf(error);
    }
    update();
  }

  /** Saves what was said of all of the batch as labels. */
  async #labels(): Promise<void> {
    const { api, signal, update } = this.#surroundings;
    const lines: string[] = [];
    try {
      for (let after: string | null = ''; after !== null;) {
        const query = new URLSearchParams({ limit: '1000', ...(after === '' ? {} : { after }) });
        const page: Reviews = await api.get<Reviews>(
          `/batches/${encodeURIComponent(this.#batch)}/reviews?${query.toString()}`,
          signal,
        );
        lines.push(...page.data.map(({ custom_id, answer }) => `${JSON.stringify({ custom_id, answer })}\n`));
        after = page.has_more ? page.cursor : null;
      }
      save(lines, `${this.#batch}-labels.jsonl`);
    } catch (error) {
      this.#problem = messageOf(error);
      update();
    }
  }
}
