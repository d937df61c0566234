import { messageOf } from '../api.ts';
import { count, perSecond } from '@spillway/core/amounts';
import { html, nothing, type TemplateResult } from 'lit-html';
import { fromNow } from '../format.ts';
import type { Surroundings, View } from '../view.ts';

type Tier = {
  readonly id: string;
  readonly role: string;
  readonly model: string;
  readonly state: string;
  readonly reason: string | null;
  readonly since: number | null;
  readonly documents: { readonly waiting: number; readonly delayed: number; readonly active: number };
  readonly replicas: number;
  readonly concurrency: number | null;
  readonly documents_per_second: number | null;
  readonly scaling: { readonly required: number; readonly reason: string } | null;
  readonly checked_at: number | null;
  readonly found: {
    readonly reachable: boolean;
    readonly log_probs: boolean | null;
    readonly scoring: string | null;
    readonly json_mode: boolean | null;
    readonly problem: string | null;
    readonly said?: string;
  } | null;
};

/** What an operator looks at: the queues, breakers and workers of all tiers, and what each needs. */
export class TiersView implements View {
  readonly title = 'Tiers';
  readonly #tiers = new Map<string, Tier>();
  #problem: string | null = null;

  constructor({ api, update, signal }: Surroundings) {
    const watch = async (): Promise<void> => {
      for await (const tier of api.events<Tier>('/tiers/events', signal, 'tier')) {
        this.#tiers.set(tier.id, tier);
        update();
      }
    };
    watch().catch((error: unknown) => {
      this.#problem = messageOf(error);
      update();
    });
  }

  render(): TemplateResult {
    return html`
      <h1>Tiers</h1>
      ${this.#problem === null ? nothing : html`<p role="alert">${this.#problem}</p>`}
      ${this.#tiers.size === 0 ? (this.#problem === null ? html`<p class="hint">Looking …</p>` : nothing) : table([...this.#tiers.values()])}
    `;
  }
}

const table = (tiers: readonly Tier[]): TemplateResult =>
  html`<div class="table" role="region" aria-label="Tiers" tabindex="0">
    <table>
      <thead>
        <tr>
          <th scope="col">Tier</th>
          <th scope="col">State</th>
          <th scope="col" class="number">Waiting</th>
          <th scope="col" class="number">Put off</th>
          <th scope="col" class="number">Under way</th>
          <th scope="col" class="number">Workers</th>
          <th scope="col" class="number">Rate</th>
          <th scope="col">Needs</th>
          <th scope="col">Its model</th>
        </tr>
      </thead>
      <tbody>
        ${tiers.map(row)}
      </tbody>
    </table>
  </div>`;

function row(tier: Tier): TemplateResult {
  const {
    model,
    role,
    state,
    reason,
    since,
    documents,
    replicas,
    concurrency,
    scaling,
    documents_per_second: rate,
  } = tier;
  const isWell = state === 'closed';
  return html`<tr>
    <th scope="row">${model}<small>${role}</small></th>
    <td>
      <span class="status ${isWell ? 'completed' : 'failed'}"
        >${isWell ? 'breaker closed' : state.replaceAll('_', ' ')}</span
      >
      ${reason === null ? nothing : html`<small>${reason}${since === null ? nothing : html`, ${fromNow(since, Date.now())}`}</small>`}
    </td>
    <td class="number">${count(documents.waiting)}</td>
    <td class="number">${count(documents.delayed)}</td>
    <td class="number">${count(documents.active)}</td>
    <td class="number">
      ${count(replicas)}${concurrency === null ? nothing : html`<small>${count(concurrency)} calls each</small>`}
    </td>
    <td class="number">${rate === null ? '' : perSecond(rate)}</td>
    <td>${scaling === null ? '' : html`${count(scaling.required)}<small>${scaling.reason}</small>`}</td>
    <td>${found(tier)}</td>
  </tr>`;
}

function found({ found: known, checked_at: at }: Tier): TemplateResult | string {
  if (known === null) return 'not checked';
  const can = [
    known.log_probs === true ? 'log-probs' : 'no log-probs',
    ...(known.scoring === null ? [] : [`scoring by ${known.scoring.replaceAll('_', ' ')}`]),
    ...(known.json_mode === true ? ['JSON mode'] : []),
  ];
  return html`${known.problem ?? can.join(', ')}${at === null ? nothing : html`<small>checked ${fromNow(at, Date.now())}</small>`}`;
}
