import { html, render, type TemplateResult } from 'lit-html';
import { Api } from './api.ts';
import { storedKey, storeKey } from './session.ts';
import { placeOf } from './place.ts';
import type { Surroundings, View } from './view.ts';
import { BatchView } from './views/batch.ts';
import { BatchesView } from './views/batches.ts';
import { CreateView } from './views/create.ts';
import { DocumentView } from './views/document.ts';
import { DocumentsView } from './views/documents.ts';
import { Login } from './views/login.ts';
import { TiersView } from './views/tiers.ts';
import { ReviewView } from './views/review.ts';

/** The whole page: its head, and the view that the address names. */
class Page {
  readonly #root: HTMLElement;
  #leave = new AbortController();
  #view: View | null = null;
  #isAsked = false;
  #isDue = false;

  constructor(root: HTMLElement) {
    this.#root = root;
    window.addEventListener('hashchange', () => this.open());
  }

  /** Opens the view of the address. */
  open(): void {
    this.#leave.abort();
    this.#leave = new AbortController();
    this.#isAsked = false;
    const api = new Api(storedKey(), () => this.#ask());
    this.#view = viewAt(location.hash, { api, update: () => this.update(), signal: this.#leave.signal });
    this.update();
    document.querySelector('main')?.focus();
  }

  /** Shows what has changed, before the next frame. */
  update(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      document.title = this.#view === null ? 'Spillway' : `${this.#view.title} · Spillway`;
      render(this.#page(), this.#root);
    });
  }

  #page(): TemplateResult {
    return html`
      <a class="skip" href="#main" @click=${skipToMain}>Skip to the content</a>
      <header>
        <a class="home" href="#/">Spillway</a>
        <nav aria-label="Console">
          <a href="#/" aria-current=${location.hash.length < 3 ? 'page' : 'false'}>Batches</a>
          <a href="#/create" aria-current=${location.hash === '#/create' ? 'page' : 'false'}>New batch</a>
          <a href="#/tiers" aria-current=${location.hash === '#/tiers' ? 'page' : 'false'}>Tiers</a>
        </nav>
        ${storedKey() === null ? '' : html`<button class="plain" @click=${() => this.#forget()}>Forget the key</button>`}
      </header>
      <main id="main" tabindex="-1">${this.#isAsked ? this.#login().render() : this.#view?.render()}</main>
    `;
  }

  #login(): Login {
    return new Login((key) => {
      storeKey(key);
      this.open();
    }, storedKey() !== null);
  }

  /** The service wants a key, or another one. */
  #ask(): void {
    this.#isAsked = true;
    this.update();
  }

  #forget(): void {
    storeKey(null);
    this.open();
  }
}

function skipToMain(event: Event): void {
  event.preventDefault();
  document.querySelector('main')?.focus();
}

function viewAt(hash: string, surroundings: Surroundings): View {
  const place = placeOf(hash);
  switch (place.view) {
    case 'batch':
      return new BatchView(surroundings, place.batch);
    case 'documents':
      return new DocumentsView(surroundings, place.batch, place.where);
    case 'document':
      return new DocumentView(surroundings, place.batch, place.customId);
    case 'review':
      return new ReviewView(surroundings, place.batch, place.where);
    case 'create':
      return new CreateView(surroundings);
    case 'tiers':
      return new TiersView(surroundings);
    case 'batches':
      return new BatchesView(surroundings);
  }
}

const root = document.querySelector<HTMLElement>('#console');
if (root === null) throw new Error('the page has no place for the console');
new Page(root).open();
