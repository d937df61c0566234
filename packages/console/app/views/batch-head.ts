import type { BatchObject } from '@spillway/core';
import { html, nothing, type TemplateResult } from 'lit-html';
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

/** Which batch it was made of, by what; nothing where it was made of a file alone. */
export function madeFrom({ metadata }: BatchObject): TemplateResult | typeof nothing {
  const retried = metadata?.['spillway.retry_of'];
  const from = retried ?? metadata?.['spillway.redecided_from'];
  if (from === undefined) return nothing;
  const by = ['accept_at', 'promise', 'budget'].flatMap((name) => metadata?.[`spillway.${name}`] ?? []);
  return html`<p class="hint">
    ${retried === undefined ? 'Decided anew from' : 'A retry of'}
    <a href=${addressOf({ view: 'batch', batch: from })}><code>${from}</code></a
    >${retried === undefined && by.length > 0 ? `, by ${by.join(', ')}` : ''}.
  </p>`;
}
