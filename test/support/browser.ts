import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { install } from './packages.ts';

/** Debian's Chromium, without a screen; a text says why there is none, and its tests skip. */
export async function startBrowser(): Promise<Browser | string> {
  const lacking = await install(['chromium'], ['chromium']);
  if (lacking !== null) return lacking;
  return await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** A page of which every error, and whatever its policy keeps from being loaded, is a fault of the console. */
export class WatchedPage implements AsyncDisposable {
  readonly page: Page;
  readonly #faults: string[] = [];
  readonly #expected: readonly RegExp[];

  private constructor(page: Page, expected: readonly RegExp[]) {
    this.page = page;
    this.#expected = expected;
    page.on('pageerror', (error) => this.#faults.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.#faults.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(new URL(page.url()).origin) && page.url() !== 'about:blank')
        this.#faults.push(`asked elsewhere: ${request.url()}`);
    });
  }

  static async open(
    browser: Browser,
    url: string,
    { expected = [], ...options }: BrowserContextOptions & { readonly expected?: readonly RegExp[] } = {},
  ): Promise<WatchedPage> {
    const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const watched = new WatchedPage(page, expected);
    await page.goto(url);
    return watched;
  }

  /** Nothing of the page keeps anybody from using it. */
  async assertAccessible(): Promise<void> {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    assert.deepEqual(told, []);
  }

  /** Nothing is wider than the window, so that nobody scrolls sideways. */
  async assertFits(): Promise<void> {
    const [wide, seen] = await this.page.evaluate<number[]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    assert.ok((wide ?? 0) <= (seen ?? 0), `the page is ${wide} wide, the window ${seen}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
    const faults = this.#faults.filter((fault) => !this.#expected.some((one) => one.test(fault)));
    assert.deepEqual(faults, []);
  }
}
