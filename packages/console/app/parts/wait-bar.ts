import { html, svg, type TemplateResult } from 'lit-html';
import { milliseconds } from '../format.ts';
import type { BatchReport } from '../report.ts';

/** What was waited for; `kind` names its colour. */
export type WaitPart = { readonly kind: string; readonly label: string; readonly ms: number };

/** Waits beside each other as a bar, and in words; null: there are none. */
export function partsBar(all: readonly WaitPart[]): TemplateResult | null {
  const parts = all.filter(({ ms }) => ms > 0);
  const total = parts.reduce((sum, { ms }) => sum + ms, 0);
  if (total <= 0) return null;
  let before = 0;
  return html`<figure class="waits">
    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      ${parts.map(({ kind, ms }) => {
        const [x, width] = [before, (100 * ms) / total];
        before += width;
        return svg`<rect class=${kind} x=${x} y="0" width=${width} height="10"></rect>`;
      })}
    </svg>
    <figcaption>
      <ul class="legend">
        ${parts.map(({ kind, label, ms }) => html`<li><span class="swatch ${kind}"></span>${label}: ${milliseconds(ms)}</li>`)}
      </ul>
    </figcaption>
  </figure>`;
}

/** What an escalated document waited for until its last stage was asked, in the mean. */
export function waitBar({ sequential_wait: wait, stages }: BatchReport): TemplateResult | null {
  return partsBar(
    wait.mean_parts_ms.flatMap(({ cascade, stage, queue, delays, call, hand_off: handOff }) => {
      const model = stages.find((one) => one.cascade === cascade && one.stage === stage)?.model ?? `stage ${stage}`;
      const held = Object.values(delays).reduce((sum, ms) => sum + ms, 0);
      return [
        { kind: 'queue', label: `queue of ${model}`, ms: queue ?? 0 },
        { kind: 'held', label: `held before ${model}`, ms: held },
        { kind: 'call', label: `draft of ${model}`, ms: call ?? 0 },
        { kind: 'hand-off', label: `hand-off after ${model}`, ms: handOff ?? 0 },
      ];
    }),
  );
}
