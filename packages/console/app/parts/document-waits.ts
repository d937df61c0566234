import type { ResultLine } from '@spillway/core';
import { html, nothing, type TemplateResult } from 'lit-html';
import { milliseconds } from '../format.ts';
import { partsBar, type WaitPart } from './wait-bar.ts';

/** What a document waited for, from its enqueueing to its answer. */
export function documentWaits({
  stages,
  wait_ms: waits,
}: NonNullable<ResultLine['cascade']>): TemplateResult | typeof nothing {
  const parts = stages.flatMap(({ model, wait_ms: own }): WaitPart[] => [
    { kind: 'queue', label: `queue of ${model}`, ms: own.queue ?? 0 },
    {
      kind: 'held',
      label: `held before ${model}`,
      ms: Object.values(own.delays ?? {}).reduce((sum, ms) => sum + ms, 0),
    },
    { kind: 'call', label: `call of ${model}`, ms: own.call ?? 0 },
    { kind: 'hand-off', label: `hand-off after ${model}`, ms: own.hand_off ?? 0 },
  ]);
  const bar = partsBar(parts);
  if (bar === null) return nothing;
  return html`<section>
    <h2>Waits</h2>
    <p>
      ${milliseconds(waits.total)} from enqueueing to the
      answer${waits.sequential === null ? '' : `, ${milliseconds(waits.sequential)} of it until the last stage was asked`}.
    </p>
    ${bar}
  </section>`;
}
