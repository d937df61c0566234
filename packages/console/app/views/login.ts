import { html, type TemplateResult } from 'lit-html';

/** Asks for a key of the API. */
export class Login {
  readonly #onKey: (key: string) => void;
  readonly #isRefused: boolean;

  constructor(onKey: (key: string) => void, isRefused: boolean) {
    this.#onKey = onKey;
    this.#isRefused = isRefused;
  }

  render(): TemplateResult {
    return html`
      <form class="login" @submit=${(event: SubmitEvent) => this.#take(event)}>
        <h1>Sign in</h1>
        ${this.#isRefused ? html`<p role="alert">The service does not take this key.</p>` : ''}
        <label for="key">API key</label>
        <input id="key" name="key" type="password" autocomplete="off" spellcheck="false" required autofocus />
        <p class="hint">It is kept for this tab, until that is closed, and sent to this service only.</p>
        <button>Go on</button>
      </form>
    `;
  }

  #take(event: SubmitEvent): void {
    event.preventDefault();
    const key = new FormData(event.target as HTMLFormElement).get('key');
    if (typeof key === 'string' && key.trim() !== '') this.#onKey(key.trim());
  }
}
