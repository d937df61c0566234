import { html, nothing, type TemplateResult } from 'lit-html';
import { createRef, ref, type Ref } from 'lit-html/directives/ref.js';
import UPlot from 'uplot';
import type { BatchReport } from '../report.ts';

const HEIGHT = 200;

/** How many documents were where, over the time of a batch. */
export class OverTime {
  readonly #place: Ref<HTMLDivElement> = createRef();
  readonly #signal: AbortSignal;
  readonly #sizes = new ResizeObserver(() => this.#fit());
  #chart: UPlot | null = null;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    const redraw = (): void => this.#chart?.redraw();
    window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw, { signal });
    signal.addEventListener('abort', () => this.#drop(), { once: true });
  }

  render({ over_time: notes, documents }: BatchReport): TemplateResult | typeof nothing {
    if (notes.length < 2) return nothing;
    const lines = linesOf(notes);
    // What is drawn is not lit-html's: it is made once its place stands in the page.
    requestAnimationFrame(() => this.#draw(lines));
    return html`<section>
      <h2>Over time</h2>
      <figure>
        <div
          class="chart"
          ${ref(this.#place)}
          role="img"
          aria-label="Documents over time: ${documents.completed} answered"
        ></div>
        <figcaption>
          <ul class="legend">
            ${lines.map(({ kind, label }) => html`<li><span class="swatch ${kind}"></span>${label}</li>`)}
          </ul>
        </figcaption>
      </figure>
    </section>`;
  }

  #draw(lines: readonly Line[]): void {
    const place = this.#place.value;
    if (place === undefined || this.#signal.aborted) return;
    const data: UPlot.AlignedData = [(lines[0]?.at ?? []).slice(), ...lines.map(({ values }) => values.slice())];
    if (this.#chart !== null && this.#chart.root.parentElement === place && this.#chart.series.length === data.length) {
      this.#chart.setData(data);
      return;
    }
    this.#drop();
    const axis = { stroke: () => colourOf(place, 'axis'), grid: { stroke: () => colourOf(place, 'grid'), width: 1 } };
    const series = lines.map(({ kind, label }) => ({ label, stroke: () => colourOf(place, kind), width: 2 }));
    const size = { width: place.clientWidth, height: HEIGHT };
    const options = { ...size, legend: { show: false }, series: [{}, ...series], axes: [axis, { ...axis, size: 70 }] };
    this.#chart = new UPlot(options, data, place);
    this.#sizes.observe(place);
  }

  #drop(): void {
    this.#sizes.disconnect();
    this.#chart?.destroy();
    this.#chart = null;
  }

  /** The chart is as wide as its place. */
  #fit(): void {
    const width = this.#place.value?.clientWidth ?? 0;
    if (this.#chart !== null && width > 0 && width !== this.#chart.width)
      this.#chart.setSize({ width, height: HEIGHT });
  }
}

type Line = { readonly kind: string; readonly label: string; readonly at: number[]; readonly values: number[] };

function linesOf(notes: BatchReport['over_time']): Line[] {
  const at = notes.map((note) => note.at);
  const stages = Math.max(0, ...notes.map((note) => note.stages.length));
  const line = (kind: string, label: string, valueOf: (note: BatchReport['over_time'][number]) => number): Line => ({
    kind,
    label,
    at,
    values: notes.map(valueOf),
  });
  const later = stages > 1 ? [line('call', 'drafted', ({ stages: [first] }) => first?.left ?? 0)] : [];
  const last =
    stages > 1 ? [line('hand-off', 'come to the expert', (note) => note.stages[stages - 1]?.reached ?? 0)] : [];
  return [line('accepted', 'finished', ({ settled }) => settled), ...later, ...last];
}

/** A colour as the style sheet has it just now: a canvas does not know its variables. */
function colourOf(place: HTMLElement, kind: string): string {
  const sample = document.createElement('span');
  sample.className = `colour ${kind}`;
  place.append(sample);
  const { backgroundColor } = getComputedStyle(sample);
  sample.remove();
  return backgroundColor;
}
