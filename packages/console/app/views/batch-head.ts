import { html, type TemplateResult } from 'lit-html';
import { addressOf, type Place } from '../place.ts';

const VIEWS = [
  ['batch', 'Overview'],
  ['documents', 'Documents'],
  ['review', 'Review'],
] as const;

/** The way between the views of a batch. */
export function batchViews(batch: string, current: Place['view']): TemplateResult {
  return html`<nav class="views" aria-label="Batch">
    ${VIEWS.map(([view, name]) => {
      const address = addressOf(view === 'batch' ? { view, batch } : { view, batch, where: '' });
      return html`<a href=${address} aria-current=${view === current ? 'page' : 'false'}>${name}</a>`;
    })}
  </nav>`;
}
