import { messageOf } from '../api.ts';
import type { BatchObject } from '@spillway/core';
import { count, counted } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { live } from 'lit-html/directives/live.js';
import { dollarRange, share } from '../format.ts';
import { histogram } from '../parts/histogram.ts';
import type { Labelled, Preview } from '../redecision.ts';
import { whatIf, type BatchReport, type ReportedStage } from '../report.ts';
import type { Surroundings } from '../view.ts';

/** Whoever moves the slider on is not asked for in between. */
const STILL_MS = 400;

/** What another threshold of the first stage would do, and the way to it. */
export class ThresholdTrial {
  readonly #surroundings: Surroundings;
  readonly #id: string;
  #tried: number | null = null;
  #preview: Preview | null = null;
  #problem: string | null = null;
  #asked = 0;

  constructor(surroundings: Surroundings, id: string) {
    this.#surroundings = surroundings;
    this.#id = id;
  }

  render(report: BatchReport, hasEnded: boolean): TemplateResult | typeof nothing {
    const judging = report.stages.filter(({ confidences }) => confidences.length > 0);
    const [stage] = judging;
    if (stage === undefined) return nothing;
    const acceptAt = stage.accept_at;
    const tried = this.#tried ?? acceptAt ?? 1;
    const { accepted, escalated, always } = whatIf(stage, tried);
    const all = accepted + escalated + always;
    return html`<section>
      <h2>How sure the drafts were</h2>
      ${histogram(stage, acceptAt, tried)}
      <label class="slider">
        What if the threshold were <output>${tried.toFixed(3)}</output>?
        <input
          type="range"
          min="0"
          max="1"
          step="0.001"
          .value=${live(String(tried))}
          aria-valuetext="${tried.toFixed(3)}: ${share(all === 0 ? 0 : (escalated + always) / all)} escalated"
          @input=${(event: InputEvent) => this.#try(Number((event.target as HTMLInputElement).value), { hasEnded, judging })}
        />
      </label>
      <p aria-live="polite">
        ${share(all === 0 ? 0 : (escalated + always) / all)} would be escalated: ${count(escalated)} below it, and
        ${count(always)} that could not be judged or were given up early.
      </p>
      ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`}
      ${hasEnded && this.#preview !== null ? this.#offer(this.#preview, tried, judging) : nothing}
    </section>`;
  }

  #offer({ documents, usd, labelled }: Preview, tried: number, judging: readonly ReportedStage[]): TemplateResult {
    const { total, kept, asked } = documents;
    const cost = usd === null ? '' : `, for about ${dollarRange({ low: usd.least, high: usd.most })}`;
    return html`<p>
        Decided anew, of ${counted(total, 'document')} ${count(kept)} answers stay and ${count(asked)} are asked
        about${cost}.
      </p>
      ${labelled.documents === 0 ? nothing : accuracy(labelled)}
      <button @click=${() => void this.#decide(tried, judging)}>Decide anew by ${tried.toFixed(3)}</button>`;
  }

  #try(
    value: number,
    { hasEnded, judging }: { readonly hasEnded: boolean; readonly judging: readonly ReportedStage[] },
  ): void {
    this.#tried = value;
    this.#preview = null;
    this.#surroundings.update();
    this.#asked += 1;
    const asked = this.#asked;
    if (hasEnded) setTimeout(() => void this.#look(asked, value, judging), STILL_MS);
  }

  async #look(asked: number, value: number, judging: readonly ReportedStage[]): Promise<void> {
    const { api, update, signal } = this.#surroundings;
    if (asked !== this.#asked || signal.aborted) return;
    try {
      const preview = await api.post<Preview>(`/batches/${this.#id}/redecide?preview=true`, bodyOf(value, judging));
      if (asked !== this.#asked) return;
      this.#preview = preview;
      this.#problem = null;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    update();
  }

  async #decide(value: number, judging: readonly ReportedStage[]): Promise<void> {
    try {
      const made = await this.#surroundings.api.post<BatchObject>(
        `/batches/${this.#id}/redecide`,
        bodyOf(value, judging),
      );
      location.hash = `#/batches/${made.id}`;
    } catch (error) {
      this.#problem = messageOf(error);
      this.#surroundings.update();
    }
  }
}

/** Of what is asked about anew nobody knows yet whether it will be right: then it is a range. */
function accuracy({ documents, right_now: now, known, right }: Labelled): TemplateResult {
  const asked = documents - known;
  const then =
    asked === 0
      ? html`<strong>${share(right / documents)}</strong> would be right`
      : html`<strong>${share(right / documents)} to ${share((right + asked) / documents)}</strong> would be right, as
          ${count(asked)} are asked about`;
  return html`<p>
    Of ${counted(documents, 'document')} whose right answer is known ${share(now / documents)} are right as they are,
    and ${then}. <small>Who reviewed the least sure ones has not seen what the others are like.</small>
  </p>`;
}

/** The first stage's cascade gets another first threshold; all else stays. */
function bodyOf(value: number, judging: readonly ReportedStage[]): object {
  const [first] = judging;
  if (first === undefined) return { accept_at: value };
  const own = judging.filter(({ cascade }) => cascade === first.cascade);
  return own.length === judging.length && own.length === 1
    ? { accept_at: value }
    : { accept_at: { [first.cascade]: value } };
}
