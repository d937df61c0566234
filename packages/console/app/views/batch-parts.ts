import type { BatchObject } from '@spillway/core';
import { count, counted, dollars, percent, perSecond } from '@spillway/core/amounts';
import { auditWords, thresholdWords } from '@spillway/core/promise-words';
import { html, nothing, type TemplateResult } from 'lit-html';
import { ENDED } from '../ended.ts';
import { dollarRange, milliseconds, share, timeRange } from '../format.ts';
import { partsOf, statesBar } from '../parts/states.ts';
import { waitBar } from '../parts/wait-bar.ts';
import { addressOf } from '../place.ts';
import type { BatchReport } from '../report.ts';

/** What somebody should know, and look at. */
export function notes({ spillway, errors }: BatchObject): TemplateResult {
  const { waiting, warnings, thresholds, audits, progress } = spillway;
  return html`
    ${(errors?.data ?? []).slice(0, 5).map(({ message, line }) => html`<p class="note bad">${line === null ? '' : `Line ${line}: `}${message}</p>`)}
    ${progress.at_risk === true ? html`<p class="note bad">Its window will probably be missed.</p>` : nothing}
    ${audits.map((one) => html`<p class="note ${one.alarm === null ? '' : 'bad'}">${auditWords(one)}</p>`)}
    ${warnings.map(({ message }) => html`<p class="note bad">${message}</p>`)}
    ${waiting.map(({ tier, state, reason }) => html`<p class="note">${tier ?? 'All of it'}: ${state.replaceAll('_', ' ')}. ${reason}</p>`)}
    ${thresholds.map((one) => html`<p class="note ${one.outcome === 'certified' ? 'good' : ''}">${thresholdWords(one)}</p>`)}
  `;
}

export function figures(
  { spillway, request_counts: counts, status }: BatchObject,
  report: BatchReport,
): TemplateResult {
  const { progress } = spillway;
  const { cascade, all_expert: expert } = report.counterfactuals;
  const parts = partsOf({ ...report.documents, hasEnded: ENDED.has(status) });
  const saved = expert.usd > 0 ? 1 - cascade.usd / expert.usd : null;
  const isMoving = status === 'in_progress';
  return html`<section aria-label="How it goes">
    ${statesBar(parts)}
    <ul class="legend">
      ${parts.map(({ kind, label, documents }) => html`<li><span class="swatch ${kind}"></span>${count(documents)} ${label}</li>`)}
    </ul>
    <dl class="figures">
      ${figure('Documents', count(counts.total))}
      ${figure('Escalated', report.escalated_share === null ? '–' : share(report.escalated_share))}
      ${isMoving && progress.documents_per_second !== null ? figure('Rate', perSecond(progress.documents_per_second)) : nothing}
      ${isMoving && progress.left_seconds !== null ? figure('Time left', timeRange(progress.left_seconds)) : nothing}
      ${progress.spent_usd === null ? nothing : figure('Spent', dollars(progress.spent_usd))}
      ${progress.projected_usd === null ? nothing : figure('In the end', dollarRange(progress.projected_usd))}
      ${expert.usd > 0 ? figure('All by the expert', `${dollars(expert.usd)}${saved === null ? '' : saved >= 0 ? ` (${percent(saved)} saved)` : ` (${percent(-saved)} MORE)`}`) : nothing}
      ${figure('Accepted, median', milliseconds(report.latency_ms.accepted.p50))}
      ${figure('Escalated, median', milliseconds(report.latency_ms.escalated.p50))}
    </dl>
  </section>`;
}

const figure = (name: string, value: string): TemplateResult =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;

export function stages({ stages: all }: BatchReport): TemplateResult {
  return html`<section>
    <h2>Stages</h2>
    <div class="table" role="region" aria-label="Stages" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" class="number">Final</th>
            <th scope="col" class="number">Escalated</th>
            <th scope="col" class="number">Failed</th>
            <th scope="col" class="number">Call, median</th>
            <th scope="col" class="number">Money</th>
            <th scope="col">Why escalated</th>
          </tr>
        </thead>
        <tbody>
          ${all.map(
            ({ model, role, cascade, documents, inference_ms: calls, usd, reasons }) =>
              html`<tr>
                <th scope="row">${model}<small>${role} of ${cascade}</small></th>
                <td class="number">${count(documents.accepted + documents.answered)}</td>
                <td class="number">${count(documents.escalated)}</td>
                <td class="number">${count(documents.failed)}</td>
                <td class="number">${milliseconds(calls.p50)}</td>
                <td class="number">${dollars(usd)}</td>
                <td>
                  ${reasons.map(({ reason, count: many }) => `${reason.replaceAll('_', ' ')} ${count(many)}`).join(', ')}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

export function waits(report: BatchReport): TemplateResult | typeof nothing {
  const bar = waitBar(report);
  if (bar === null) return nothing;
  const { ms } = report.sequential_wait;
  const { usd, drafter_seconds: wasted } = report.wasted;
  return html`<section>
    <h2>The sequential wait</h2>
    <p>
      An escalated document waited ${milliseconds(ms.p50)} (median) until its last stage was asked. Drafts that were not
      final took ${milliseconds(wasted * 1000)} of the drafters’ time${usd > 0 ? ` and ${dollars(usd)}` : ''}.
    </p>
    ${bar}
  </section>`;
}

export function failures({ failures: all }: BatchReport): TemplateResult | typeof nothing {
  if (all.length === 0) return nothing;
  return html`<section>
    <h2>Without an answer</h2>
    <ul>
      ${all.map(
        ({ status, code, count: many, said }) =>
          html`<li>
            ${count(many)} × ${status ?? code ?? 'unknown'}${said === null ? nothing : html`: <q>${said}</q>`}
          </li>`,
      )}
    </ul>
  </section>`;
}

/** What was not asked twice, as far as there is anything. */
export function savings({ stages: all, saved_by_copies: copies }: BatchReport): TemplateResult | typeof nothing {
  const lines = [
    ...(copies.documents === 0
      ? []
      : [`${counted(copies.documents, 'document')} were copies of others: ${dollars(copies.usd)} not spent.`]),
    ...all.flatMap(({ model, ask, stopped_early: stopped, reuse }) => [
      ...(stopped.documents === 0
        ? []
        : [
            `${counted(stopped.documents, 'draft')} of ${model} were given up early${stopped.saved_output_tokens === null ? '' : `: about ${count(Math.round(stopped.saved_output_tokens))} tokens not written`}.`,
          ]),
      ...(reuse.documents === 0
        ? []
        : [
            `${model} made use of ${counted(reuse.documents, 'draft')} (${ask}, ${count(reuse.whole)} of them whole): ${dollars(reuse.usd)} in place of ${dollars(reuse.instead.usd)}.`,
          ]),
    ]),
  ];
  if (lines.length === 0) return nothing;
  return html`<section>
    <h2>Not done twice</h2>
    <ul>
      ${lines.map((line) => html`<li>${line}</li>`)}
    </ul>
  </section>`;
}

/** The way to the documents that took longest. */
export function slowest({ id, latency_ms: latency }: BatchReport): TemplateResult | typeof nothing {
  const p99 = Math.max(latency.accepted.p99 ?? 0, latency.escalated.p99 ?? 0);
  if (p99 <= 0) return nothing;
  // A percentile is known to a hundredth.
  const least = Math.floor(p99 * 0.98);
  const address = addressOf({ view: 'documents', batch: id, where: `waited_ms >= ${least}` });
  return html`<p><a href=${address}>The slowest documents</a>: those that took ${milliseconds(least)} and more.</p>`;
}
