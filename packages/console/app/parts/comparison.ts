import { html, nothing, type TemplateResult } from 'lit-html';
import { valuesOf } from '../result.ts';

type Text = { readonly label: string; readonly text: string };

/** Drafts and the answer beside each other: by their values where all are JSON, else as texts with what differs marked. */
export function comparison(drafts: readonly Text[], answer: Text | null): TemplateResult {
  const texts = answer === null ? drafts : [...drafts, answer];
  const values = texts.map(({ text }) => valuesOf(text));
  const known = values.filter((one) => one !== null);
  return html`<section>
    <h2>${drafts.length === 0 ? 'Answer' : 'Draft and answer'}</h2>
    ${known.length === texts.length ? byValue(texts, known) : sideBySide(texts)}
  </section>`;
}

function byValue(texts: readonly Text[], values: readonly ReadonlyMap<string, string>[]): TemplateResult {
  const pointers = [...new Set(values.flatMap((one) => [...one.keys()]))];
  return html`<div class="table" role="region" aria-label="Values" tabindex="0">
    <table>
      <thead>
        <tr>
          <th scope="col">Value</th>
          ${texts.map(({ label }) => html`<th scope="col">${label}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${pointers.map((pointer) => {
          const all = values.map((one) => one.get(pointer) ?? null);
          const differs = new Set(all).size > 1;
          return html`<tr class=${differs ? 'differs' : ''}>
            <th scope="row"><code>${pointer}</code>${differs ? html`<small>differs</small>` : nothing}</th>
            ${all.map((value) => html`<td>${value ?? html`<span class="hint">absent</span>`}</td>`)}
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function sideBySide(texts: readonly Text[]): TemplateResult {
  const { start, end } = commonEnds(texts.map(({ text }) => text));
  return html`<div class="beside">
    ${texts.map(({ label, text }) => {
      const middle = text.slice(start, text.length - end);
      const marked = texts.length > 1 && middle !== '' ? html`<mark>${middle}</mark>` : middle;
      return html`<div>
        <h3>${label}</h3>
        <pre tabindex="0">${text.slice(0, start)}${marked}${text.slice(text.length - end)}</pre>
      </div>`;
    })}
  </div>`;
}

/** How many characters some texts begin with alike, and end with alike. */
function commonEnds(texts: readonly string[]): { readonly start: number; readonly end: number } {
  const [first = '', ...others] = texts;
  const least = Math.min(...texts.map(({ length }) => length));
  let start = 0;
  while (start < least && others.every((one) => one[start] === first[start])) start += 1;
  let end = 0;
  while (end < least - start && others.every((one) => one.at(-1 - end) === first.at(-1 - end))) end += 1;
  return { start, end };
}
