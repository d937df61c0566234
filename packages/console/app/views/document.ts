import { messageOf } from '../api.ts';
import type { ResultLine } from '@spillway/core';
import { html, nothing, type TemplateResult } from 'lit-html';
import { milliseconds } from '../format.ts';
import { comparison } from '../parts/comparison.ts';
import { documentWaits } from '../parts/document-waits.ts';
import { answerOf, draftOf, errorOf, messagesOf, tokensOf, type Token } from '../result.ts';
import type { Surroundings, View } from '../view.ts';
import { batchViews } from './batch-head.ts';

/** A document as the API shows it. */
export type ShownDocument = {
  readonly document: number;
  readonly trace_url: string | null;
  readonly request: { readonly body?: unknown } | null;
  readonly result: ResultLine | null;
};

export const documentPath = (batch: string, customId: string): string =>
  `/batches/${encodeURIComponent(batch)}/document?${new URLSearchParams({ custom_id: customId }).toString()}`;

/** One document: what was asked, what each stage said, and what it waited for. */
export class DocumentView implements View {
  readonly title: string;
  readonly #batch: string;
  readonly #customId: string;
  #shown: ShownDocument | null = null;
  #problem: string | null = null;

  constructor(surroundings: Surroundings, batch: string, customId: string) {
    this.title = customId;
    this.#batch = batch;
    this.#customId = customId;
    void this.#read(surroundings);
  }

  render(): TemplateResult {
    return html`
      ${batchViews(this.#batch, 'documents')}
      <h1>${this.#customId}</h1>
      ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`}
      ${this.#shown === null ? (this.#problem === null ? html`<p class="hint">Looking …</p>` : nothing) : documentParts(this.#shown)}
    `;
  }

  async #read({ api, update, signal }: Surroundings): Promise<void> {
    try {
      this.#shown = await api.get<ShownDocument>(documentPath(this.#batch, this.#customId), signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = messageOf(error);
    }
    update();
  }
}

/** All that is known of a document. */
export function documentParts({ result, request, trace_url: trace }: ShownDocument): TemplateResult {
  if (result === null)
    return html`<p>It has no result yet.</p>
      ${requestPart(request)}`;
  const { cascade } = result;
  const error = errorOf(result);
  const answer = answerOf(result);
  const drafts = (cascade?.stages ?? []).flatMap((stage) => {
    const text = draftOf(stage);
    return text === null
      ? []
      : [
          {
            text,
            label: stage.stopped === undefined ? `Draft of ${stage.model}` : `Draft of ${stage.model}, given up`,
          },
        ];
  });
  const tokens = tokensOf(result);
  return html`
    ${cascade === undefined ? nothing : html`<p class="hint">${decided(cascade)}${trace === null ? nothing : html` · <a href=${trace} rel="noreferrer">trace</a>`}</p>`}
    ${error === null ? nothing : html`<p class="note bad">${error}</p>`}
    ${cascade?.review === undefined ? nothing : html`<p class="note good">Reviewed: ${cascade.review.verdict}${cascade.review.verdict === 'corrected' ? html`, right is <q>${cascade.review.answer}</q>` : nothing}</p>`}
    ${answer === null && drafts.length === 0 ? nothing : comparison(drafts, answer === null ? null : { label: `Answer of ${cascade?.model ?? 'the model'}`, text: answer })}
    ${requestPart(request)} ${tokens.length === 0 ? nothing : tokensPart(tokens)}
    ${cascade === undefined ? nothing : html`${stagesPart(cascade)}${documentWaits(cascade)}`}
  `;
}

type Cascade = NonNullable<ResultLine['cascade']>;

function decided({ name, model, role, by, escalated, copy_of: copy, kept_from: kept }: Cascade): string {
  const how = by === 'verdict' ? ', final by the expert’s verdict' : escalated ? ', escalated' : '';
  const from = copy === undefined ? '' : ` · copied from ${copy}`;
  return `${name}: ${model} (${role})${how}${from}${kept === undefined ? '' : ` · kept from ${kept}`}`;
}

function stagesPart({ stages }: Cascade): TemplateResult {
  return html`<section>
    <h2>Stages</h2>
    <div class="table" role="region" aria-label="Stages" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col">Outcome</th>
            <th scope="col" class="number">Confidence</th>
            <th scope="col" class="number">Threshold</th>
            <th scope="col" class="number">Attempts</th>
            <th scope="col" class="number">Call</th>
            <th scope="col" class="number">Tokens in, out</th>
          </tr>
        </thead>
        <tbody>
          ${stages.map(
            ({
              model,
              role,
              ask,
              outcome,
              reason,
              confidence,
              accept_at: acceptAt,
              attempts,
              usage,
              wait_ms: waits,
              fields,
            }) =>
              html`<tr>
                <th scope="row">${model}<small>${role}${ask === 'answer' ? '' : `, ${ask}`}</small></th>
                <td>${outcome.replaceAll('_', ' ')}<small>${(reason ?? '').replaceAll('_', ' ')}</small></td>
                <td class="number">
                  ${confidence === null ? '' : confidence.toFixed(4)}
                  ${Object.entries(fields ?? {}).map(([field, sure]) => html`<small>${field} ${sure.toFixed(3)}</small>`)}
                </td>
                <td class="number">${acceptAt === null ? '' : Number(acceptAt.toFixed(4))}</td>
                <td class="number">${attempts}</td>
                <td class="number">${milliseconds(waits.call)}</td>
                <td class="number">${usage.input_tokens}, ${usage.output_tokens}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** The answer token by token, the less probable the darker behind it. */
function tokensPart(tokens: readonly Token[]): TemplateResult {
  const tint = (logprob: number): string => `p${Math.min(4, Math.floor(-Math.max(-20, logprob) / 0.35))}`;
  return html`<section>
    <h2>Tokens of the answer</h2>
    <p class="tokens">
      ${tokens.map(({ text, logprob }) => html`<span class=${tint(logprob)} title=${`${(100 * Math.exp(logprob)).toFixed(1)} %`}>${text}</span>`)}
    </p>
  </section>`;
}

function requestPart(request: ShownDocument['request']): TemplateResult {
  if (request === null)
    return html`<section>
      <h2>Request</h2>
      <p class="hint">The input file is gone.</p>
    </section>`;
  const { messages, rest } = messagesOf(request.body ?? request);
  return html`<section>
    <h2>Request</h2>
    ${messages.map(
      ({ role, text }) =>
        html`<h3>${role}</h3>
          <pre tabindex="0">${text}</pre>`,
    )}
    <h3>${messages.length === 0 ? 'Body' : 'Beside it'}</h3>
    <pre tabindex="0">${JSON.stringify(rest, null, 2)}</pre>
  </section>`;
}
