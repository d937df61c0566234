import { count } from '@spillway/core/amounts';
import { html, svg, type TemplateResult } from 'lit-html';
import type { ReportedStage } from '../report.ts';

/** Bins as they are drawn: as many as a page has room for, each as wide as the others. */
const BINS = 50;
const [WIDTH, HEIGHT] = [500, 120] as const;

/** How sure drafts were, with the threshold as a line; the same as a table for those who do not see it. */
export function histogram(stage: ReportedStage, acceptAt: number | null, tried: number): TemplateResult {
  const drafts = drawn(stage.confidences);
  const most = Math.max(1, ...drafts);
  const x = (confidence: number): number => confidence * WIDTH;
  return html`<figure class="histogram">
    <svg viewBox="0 -4 ${WIDTH} ${HEIGHT + 24}" role="img" aria-label=${labelOf(stage)}>
      ${drafts.map((many, bin) => {
        const height = (HEIGHT * many) / most;
        const isFinal = (bin + 0.5) / BINS >= tried;
        return svg`<rect class=${isFinal ? 'accepted' : 'answered'} x=${x(bin / BINS) + 0.5} y=${HEIGHT - height}
          width=${WIDTH / BINS - 1} height=${height}><title>${range(bin)}: ${count(Math.round(many))} drafts</title></rect>`;
      })}
      ${acceptAt === null ? '' : svg`<line class="threshold" x1=${x(acceptAt)} x2=${x(acceptAt)} y1="-4" y2=${HEIGHT}></line>`}
      ${tried === acceptAt ? '' : svg`<line class="tried" x1=${x(tried)} x2=${x(tried)} y1="-4" y2=${HEIGHT}></line>`}
      ${[0, 0.5, 1].map((at) => svg`<text x=${x(at)} y=${HEIGHT + 16} text-anchor=${at === 0 ? 'start' : at === 1 ? 'end' : 'middle'}>${at}</text>`)}
    </svg>
    <figcaption>Confidence of the drafts of ${stage.model}. The line is the threshold.</figcaption>
  </figure>`;
}

/** The counted bins, of which the surest are finer, spread over those that are drawn. */
function drawn(confidences: ReportedStage['confidences']): number[] {
  const bins = Array.from({ length: BINS }, () => 0);
  for (const { from, to, drafts } of confidences) {
    const [first, last] = [Math.floor(from * BINS), Math.min(BINS - 1, Math.ceil(to * BINS) - 1)];
    for (let bin = first; bin <= last; bin += 1) bins[bin] = (bins[bin] ?? 0) + drafts / (last - first + 1);
  }
  return bins;
}

const range = (bin: number): string => `${(bin / BINS).toFixed(2)} to ${((bin + 1) / BINS).toFixed(2)}`;

function labelOf({ model, confidences }: ReportedStage): string {
  const all = confidences.reduce((sum, { drafts }) => sum + drafts, 0);
  const sure = confidences.filter(({ from }) => from >= 0.9).reduce((sum, { drafts }) => sum + drafts, 0);
  return `Confidence of ${count(all)} drafts of ${model}: ${count(sure)} of them .9 or more`;
}
