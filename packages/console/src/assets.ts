import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripTypes } from './strip.ts';

/** A file of the console, as a browser gets it. */
export type Asset = {
  readonly type: string;
  readonly body: Buffer;
  /** The same for the same bytes. */
  readonly etag: string;
};

export type Console = {
  /** By their paths; `/` is the page itself. */
  readonly assets: ReadonlyMap<string, Asset>;
  /** What the page may load and do: nothing from elsewhere, and no code or style that stands in a page. */
  readonly contentSecurityPolicy: string;
};

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  // Without its types it is JavaScript.
  '.ts': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const APP = '/console/app/';
const LIBRARIES = '/console/lib/';

/** What of core the page has, too: it needs nothing but each other. */
const OF_CORE = ['amounts', 'promise-words', 'prompt'] as const;

/** What modules of the page import by name, and where that is. */
const IMPORTS = {
  'lit-html': `${LIBRARIES}lit-html/lit-html.js`,
  'lit-html/': `${LIBRARIES}lit-html/`,
  uplot: `${LIBRARIES}uplot/uPlot.esm.js`,
  'csv-parse/browser/esm/sync': `${LIBRARIES}csv-parse/sync.js`,
  ...Object.fromEntries(OF_CORE.map((name) => [`@spillway/core/${name}`, `${LIBRARIES}core/${name}.ts`])),
};

/** Where the page has it. */
const IMPORT_MAP = /<script type="importmap">[^<]*<\/script>/;

/** Reads all that the console is made of. There is no build: its sources are sent without their types. */
export async function loadConsole(): Promise<Console> {
  const litHtml = packageFolder('lit-html');
  const files = [
    ...(await filesIn(fileURLToPath(new URL('../app', import.meta.url)), APP)),
    ...(await filesIn(litHtml, `${LIBRARIES}lit-html/`, isScript)),
    ...(await filesIn(join(litHtml, 'directives'), `${LIBRARIES}lit-html/directives/`, isScript)),
    ...OF_CORE.map((name) => ({
      path: fileURLToPath(import.meta.resolve(`@spillway/core/${name}`)),
      url: `${LIBRARIES}core/${name}.ts`,
    })),
    { path: join(packageFolder('csv-parse'), 'dist', 'esm', 'sync.js'), url: `${LIBRARIES}csv-parse/sync.js` },
    { path: join(packageFolder('uplot'), 'dist', 'uPlot.esm.js'), url: `${LIBRARIES}uplot/uPlot.esm.js` },
    { path: join(packageFolder('uplot'), 'dist', 'uPlot.min.css'), url: `${LIBRARIES}uplot/uPlot.min.css` },
  ];
  const read = await Promise.all(files.map(async ({ path, url }) => [url, await readFile(path, 'utf8')] as const));
  const sources = read.filter(([url]) => url.endsWith('.ts'));
  const stripped = await stripTypes(sources.map(([, text]) => text));
  const texts = new Map([...read, ...sources.map(([url], at) => [url, stripped[at] ?? ''] as const)]);
  const map = JSON.stringify({ imports: IMPORTS });
  const page = (texts.get(`${APP}index.html`) ?? '').replace(IMPORT_MAP, `<script type="importmap">${map}</script>`);
  texts.delete(`${APP}index.html`);
  const assets = [...texts].map(([url, text]) => [url, assetOf(url, text)] as const);
  return {
    assets: new Map([...assets, ['/', assetOf('/index.html', page)]]),
    contentSecurityPolicy: policyOf(map),
  };
}

function assetOf(url: string, text: string): Asset {
  const body = Buffer.from(text);
  const digest = createHash('sha256').update(body).digest('base64url');
  return { type: TYPES[extname(url)] ?? 'application/octet-stream', body, etag: `"${digest.slice(0, 22)}"` };
}

/** The import map is the only script that stands in the page, and is let in by what it says. */
function policyOf(importMap: string): string {
  const hash = createHash('sha256').update(importMap).digest('base64');
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

type Found = { readonly path: string; readonly url: string };

const isScript = (name: string): boolean => name.endsWith('.js');

/** The files of a folder that a page can use, and of those below it. */
async function filesIn(
  folder: string,
  url: string,
  isWanted = (name: string): boolean => TYPES[extname(name)] !== undefined && !name.endsWith('.test.ts'),
): Promise<Found[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(
    entries.map(async (entry): Promise<Found[]> => {
      const path = join(folder, entry.name);
      if (entry.isFile()) return isWanted(entry.name) ? [{ path, url: posix.join(url, entry.name) }] : [];
      return isWanted === isScript || !entry.isDirectory()
        ? []
        : await filesIn(path, `${posix.join(url, entry.name)}/`);
    }),
  );
  return nested.flat();
}

/** Where a package lies, whatever it lets others import of itself. */
function packageFolder(name: string): string {
  const path = fileURLToPath(import.meta.resolve(name));
  const folder = join('node_modules', name);
  return path.slice(0, path.lastIndexOf(folder) + folder.length);
}
