import { after, before, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { startBrowser } from '../support/browser.ts';

/** A browser that all tests of a file share; where there is none each of them skips. */
export function sharedBrowser(): (context: TestContext) => Browser | null {
  let browser: Browser | string;
  before(async () => void (browser = await startBrowser()));
  after(async () => {
    if (typeof browser !== 'string') await browser.close();
  });
  return (context) => {
    if (typeof browser !== 'string') return browser;
    context.skip(browser);
    return null;
  };
}
