import { count } from '@spillway/core/amounts';
import { html, svg, type TemplateResult } from 'lit-html';

/** How many documents are in a state; `kind` names its colour. */
export type Part = { readonly kind: string; readonly label: string; readonly documents: number };

/** Of a batch by what its object says: how many documents are in which state. */
export function partsOf({
  total,
  completed,
  failed,
  accepted,
  copied,
  kept,
  hasEnded,
}: {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly accepted: number;
  readonly copied: number;
  readonly kept: number;
  readonly hasEnded: boolean;
}): Part[] {
  const expert = Math.max(0, completed - accepted - copied - kept);
  return [
    { kind: 'accepted', label: 'by a drafter', documents: accepted },
    { kind: 'answered', label: 'by the expert', documents: expert },
    { kind: 'copied', label: 'from an equal one', documents: copied },
    { kind: 'kept', label: 'kept from before', documents: kept },
    { kind: 'failed', label: 'failed', documents: failed },
    { kind: 'left', label: hasEnded ? 'not answered' : 'to do', documents: Math.max(0, total - completed - failed) },
  ].filter(({ documents }) => documents > 0);
}

/** The states of a batch's documents as a bar, which says the same in words. */
export function statesBar(parts: readonly Part[]): TemplateResult {
  const total = parts.reduce((sum, { documents }) => sum + documents, 0);
  const words = parts.map(({ label, documents }) => `${count(documents)} ${label}`).join(', ');
  let before = 0;
  const bars = parts.map(({ kind, documents }) => {
    const [x, width] = [before, (100 * documents) / Math.max(1, total)];
    before += width;
    return svg`<rect class=${kind} x=${x} y="0" width=${width} height="10"></rect>`;
  });
  return html`<svg class="states" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=${words}>
    <title>${words}</title>
    ${bars}
  </svg>`;
}
