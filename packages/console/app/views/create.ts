import { messageOf } from '../api.ts';
import type { BatchObject } from '@spillway/core';
import { count, counted } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { requestLines, type Read } from '../documents.ts';
import { droppedFiles } from '../dropped-files.ts';
import { readFiles } from '../read-files.ts';
import { estimateLines, type Estimate } from '../estimate-words.ts';
import { addressOf } from '../place.ts';
import type { Surroundings, View } from '../view.ts';

type Model = { readonly id: string };

/** Documents that a pilot asks about, where somebody wants to know more. */
const PILOT = 20;
/** Within which a batch may be wanted. */
const WINDOWS = ['24h', '1h', '6h', '3d', '7d'] as const;

type Order = {
  readonly cascade: string;
  readonly prompt: string;
  readonly system: string;
  readonly idColumn: string;
  readonly name: string;
  readonly window: string;
  readonly threshold: string;
  readonly value: string;
  readonly maxUsd: string;
};

/** What becomes of some files: read, asked what it would be, and, once somebody says so, made a batch. */
export class CreateView implements View {
  readonly title = 'New batch';
  readonly #surroundings: Surroundings;
  #models: readonly Model[] = [];
  #documents: readonly Read[] = [];
  #files = 0;
  /** What the batch is called where nobody says otherwise. */
  #name = '';
  #problems: readonly string[] = [];
  #order: Order | null = null;
  #file: string | null = null;
  #estimate: Estimate | null = null;
  #isBusy = false;
  #isOver = false;
  /** The threshold that is chosen needs a number. */
  #isNumbered = false;
  #problem: string | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    // Whoever leaves does not want what was uploaded.
    surroundings.signal.addEventListener('abort', () => void this.#discard(), { once: true });
    void this.#readModels();
  }

  render(): TemplateResult {
    return html`
      <h1>New batch</h1>
      ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`} ${this.#dropPlace()}
      ${this.#documents.length === 0 ? nothing : this.#form()}
      ${this.#estimate === null ? nothing : this.#offer(this.#estimate)}
    `;
  }

  #dropPlace(): TemplateResult {
    const take = (event: Event): void => void this.#take([...((event.target as HTMLInputElement).files ?? [])]);
    return html`<section
        class="drop ${this.#isOver ? 'over' : ''}"
        aria-label="Documents"
        @dragover=${(event: DragEvent) => this.#over(event, true)}
        @dragleave=${(event: DragEvent) => this.#over(event, false)}
        @drop=${(event: DragEvent) => void this.#drop(event)}
      >
        <p>Drop files or a folder here: text, Markdown, CSV, or JSON lines.</p>
        <p class="actions">
          <label class="button" tabindex="-1">Choose files <input type="file" multiple @change=${take} /></label>
          <label class="button" tabindex="-1"
            >Choose a folder <input type="file" webkitdirectory @change=${take}
          /></label>
        </p>
      </section>
      <p role="status" class="hint">
        ${this.#documents.length === 0 ? '' : `${counted(this.#documents.length, 'document')} in ${counted(this.#files, 'file')}`}
      </p>
      ${
        this.#problems.length === 0
          ? nothing
          : html`<ul class="note bad">
              ${this.#problems.slice(0, 20).map((one) => html`<li>${one}</li>`)}
            </ul>`
      }`;
  }

  get #columns(): readonly string[] {
    const [first] = this.#documents;
    return first?.kind === 'document' ? Object.keys(first.values) : [];
  }

  #form(): TemplateResult {
    const columns = this.#columns;
    const prompt = columns.includes('text') ? '{{text}}' : `{{${columns[0] ?? 'text'}}}`;
    return html`<form
      class="order"
      @submit=${(event: SubmitEvent) => this.#submit(event)}
      @input=${() => this.#changed()}
    >
      <label
        >Cascade
        <select name="cascade">
          ${this.#models.map(({ id }) => html`<option>${id}</option>`)}
        </select></label
      >
      <label>Name <input name="name" maxlength="512" .defaultValue=${this.#name} /></label>
      <label
        >Done within
        <select name="window">
          ${WINDOWS.map((one) => html`<option>${one}</option>`)}
        </select></label
      >
      <label
        >It may cost, in dollars <input name="maxUsd" type="number" min="0" step="any" placeholder="no limit"
      /></label>
      <label
        >Threshold
        <select name="threshold" @change=${(event: Event) => this.#number(event)}>
          <option value="">that of the cascade</option>
          <option value="promise">a promise: answers that say what the expert would, in %</option>
          <option value="budget">a budget: documents to the expert, in %</option>
          <option value="accept_at">a confidence, 0 to 1</option>
        </select></label
      >
      <label
        >… of <input name="value" type="number" min="0" step="any" required ?disabled=${!this.#isNumbered}
      /></label>
      ${
        columns.length === 0
          ? nothing
          : html`<label class="wide"
                >Prompt, with ${columns.map((name) => `{{${name}}}`).join(', ')}
                <textarea name="prompt" rows="3" spellcheck="false" .defaultValue=${prompt}></textarea></label
              ><label class="wide">System message <textarea name="system" rows="2" spellcheck="false"></textarea></label
              ><label
                >Ids from
                <select name="idColumn">
                  <option value="">file and row</option>
                  ${columns.map((name) => html`<option>${name}</option>`)}
                </select></label
              >`
      }
      <p class="actions wide"><button ?disabled=${this.#isBusy}>${this.#isBusy ? 'Working …' : 'Estimate'}</button></p>
    </form>`;
  }

  #offer(estimate: Estimate): TemplateResult {
    const canPilot = estimate.valid && estimate.pilot === null;
    return html`<section aria-label="Estimate">
      <h2>What it would be</h2>
      ${estimateLines(estimate).map((line) => html`<p>${line}</p>`)}
      ${(estimate.errors?.data ?? []).slice(0, 10).map(({ line, message }) => html`<p class="note bad">${line === null ? '' : `Line ${line}: `}${message}</p>`)}
      <div class="actions">
        ${estimate.valid ? html`<button class="primary" ?disabled=${this.#isBusy} @click=${() => void this.#create()}>Run ${count(estimate.documents.total)} documents</button>` : nothing}
        ${canPilot ? html`<button ?disabled=${this.#isBusy} @click=${() => void this.#ask(PILOT)}>Ask about ${PILOT} of them to know more</button>` : nothing}
        <button ?disabled=${this.#isBusy} @click=${() => void this.#discard()}>Discard</button>
      </div>
    </section>`;
  }

  #over(event: DragEvent, isOver: boolean): void {
    event.preventDefault();
    this.#isOver = isOver;
    this.#surroundings.update();
  }

  async #drop(event: DragEvent): Promise<void> {
    this.#over(event, false);
    if (event.dataTransfer !== null) await this.#take(await droppedFiles(event.dataTransfer));
  }

  async #take(files: readonly File[]): Promise<void> {
    const { documents, problems, readable, name } = await readFiles(files);
    [this.#documents, this.#problems, this.#files, this.#name] = [documents, problems, readable, name];
    await this.#discard();
  }

  #number(event: Event): void {
    this.#isNumbered = (event.target as HTMLSelectElement).value !== '';
    this.#surroundings.update();
  }

  /** What was uploaded is not what is wanted any more. */
  #changed(): void {
    if (this.#file !== null) void this.#discard();
  }

  #submit(event: SubmitEvent): void {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === 'string' ? value : '';
    };
    this.#order = {
      cascade: text('cascade'),
      prompt: text('prompt'),
      system: text('system'),
      idColumn: text('idColumn'),
      name: text('name').trim(),
      window: text('window'),
      threshold: text('threshold'),
      value: text('value'),
      maxUsd: text('maxUsd'),
    };
    void this.#ask(0);
  }

  /** Uploads what is wanted, once, and asks what it would be. */
  async #ask(pilot: number): Promise<void> {
    const order = this.#order;
    if (order === null) return;
    const { api } = this.#surroundings;
    await this.#work(async () => {
      const documents = this.#documents;
      this.#file ??= await this.#upload(order);
      // Others were chosen meanwhile, or somebody left.
      if (documents !== this.#documents || this.#surroundings.signal.aborted) return await this.#discard();
      const query = `dry_run=true${pilot > 0 ? `&pilot=${pilot}` : ''}`;
      this.#estimate = await api.post<Estimate>(`/batches?${query}`, this.#body(order, this.#file));
    });
  }

  async #upload(order: Order): Promise<string> {
    const lines = requestLines(this.#documents, order);
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new File(lines, 'console.jsonl'));
    return (await this.#surroundings.api.upload<{ readonly id: string }>('/files', form)).id;
  }

  #body({ name, window, threshold, value, maxUsd }: Order, file: string): object {
    const share = Number((Number(value) / 100).toFixed(6));
    const settings: Readonly<Record<string, string>> = {
      promise: `agreement=${share}`,
      budget: `expert_share=${share}`,
      accept_at: value,
    };
    const setting = settings[threshold];
    const metadata = {
      ...(name === '' ? {} : { name }),
      ...(setting === undefined ? {} : { [`spillway.${threshold}`]: setting }),
      ...(maxUsd === '' ? {} : { 'spillway.max_usd': maxUsd }),
    };
    return { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: window, metadata };
  }

  async #create(): Promise<void> {
    const [order, file] = [this.#order, this.#file];
    if (order === null || file === null) return;
    await this.#work(async () => {
      const batch = await this.#surroundings.api.post<BatchObject>('/batches', this.#body(order, file), {
        // An answer that was lost and a second click make one batch.
        'idempotency-key': file,
      });
      this.#file = null;
      location.hash = addressOf({ view: 'batch', batch: batch.id });
    });
  }

  async #discard(): Promise<void> {
    const file = this.#file;
    [this.#file, this.#estimate, this.#problem] = [null, null, null];
    this.#surroundings.update();
    // It goes by itself where this fails.
    if (file !== null) await this.#surroundings.api.remove(`/files/${file}`).catch(() => undefined);
  }

  async #readModels(): Promise<void> {
    await this.#work(async () => {
      const { api, signal } = this.#surroundings;
      this.#models = (await api.get<{ readonly data: readonly Model[] }>('/models', signal)).data;
    });
  }

  async #work(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    this.#problem = null;
    this.#surroundings.update();
    try {
      await work();
    } catch (error) {
      if (this.#surroundings.signal.aborted) return;
      this.#problem = messageOf(error);
    }
    this.#isBusy = false;
    this.#surroundings.update();
  }
}
