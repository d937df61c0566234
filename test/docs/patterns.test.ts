import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/**
 * No regular expression of the sources takes more than linear time, whatever the text: nearly all are applied to what
 * clients and model servers sent. A literal is found by reading the code, and tried on texts that are made of it: a run of
 * what it may repeat, with something before and behind it that it does not expect. 12,000 characters take a linear pattern
 * a fraction of a millisecond, and one that takes the square of them 150.
 */

const root = fileURLToPath(new URL('../../', import.meta.url));
const RUN = 12_000;
const MAX_CPU_MS = 40;

/** Patterns that are put together from parts, where each is tried, too: which files have some, and of what. */
const COMPOSED: Readonly<Record<string, readonly RegExp[]>> = {
  'packages/core/src/confidence/plain-text.ts': [/[\p{M}\uFF9E\uFF9F]{30}/gu],
  'packages/core/src/accounting/counts.ts': [/^([^/]+)\/(\d+)\/(drafts|reason\/[^/]+)$/],
  'packages/core/src/accounting/waits.ts': [/^(a|[^/]+\/\d+\/(queue|call))$/],
  'packages/core/src/endpoints/thought.ts': [
    /<\|end\|>\s*<\|start\|>\s*assistant\s*<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>/,
    /<think>|<\/think>|```/g,
  ],
};

/** Patterns over what operators and this repository itself write: addresses of storage and servers, routes, toy amounts. */
const OWN: ReadonlySet<string> = new Set([
  String.raw`services/playground/src/documents/money.ts: /\B(?=(\d{3})+$)/g`,
  'services/api/src/openapi.ts: /[/:_]+(\\w)/g',
  String.raw`packages/storage/src/address.ts: /^\/+|\/+$/g`,
  String.raw`packages/storage/src/address.ts: /\/\/.*@/s`,
  String.raw`packages/core/src/calibration/server.ts: /\/+$/`,
]);

/** Where a `/` begins a pattern and is no division: behind what no value ends with. */
const BEFORE_PATTERN = /(?:^|[(,=:[!&|?{};+*%~^<>\n-]|\b(?:return|typeof|case|of|in|yield))\s*$/;

/** The regular expressions of a source: comments, strings and templates are passed over, but for what is in `${}`. */
function literalsOf(code: string): RegExp[] {
  const found: RegExp[] = [];
  /** What is open, innermost last: a template's text, or code in braces. */
  const open: ('template' | 'braces')[] = [];
  for (let at = 0; at < code.length; at += 1) {
    const two = code.slice(at, at + 2);
    if (open.at(-1) === 'template') {
      if (two === '${') open.push('braces');
      if (two === '${' || code[at] === '\\') at += 1;
      else if (code[at] === '`') open.pop();
    } else if (two === '//') at = (code.indexOf('\n', at) + code.length) % code.length;
    else if (two === '/*') at = code.indexOf('*/', at) + 1;
    else if (code[at] === "'" || code[at] === '"') {
      for (const quote = code[at], from = at; code[at] !== quote || at === from; at += 1)
        if (code[at + 1] === '\\') at += 2;
    } else if (code[at] === '`') open.push('template');
    else if (code[at] === '{') open.push('braces');
    else if (code[at] === '}') open.pop();
    else if (code[at] === '/' && BEFORE_PATTERN.test(code.slice(Math.max(0, at - 20), at))) {
      const [literal, source = '', flags = ''] =
        /^\/((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+)\/([a-z]*)/.exec(code.slice(at)) ?? [];
      if (literal === undefined) continue;
      found.push(new RegExp(source, flags));
      at += literal.length - 1;
    }
  }
  return found;
}

/** Characters and words that a pattern is likely to take: one for each of its own, and for what its classes mean. */
function piecesOf({ source }: RegExp): string[] {
  const plain = source
    .replaceAll(/\\([^\w])/g, '$1')
    .replaceAll(/\\u\{?([\da-fA-F]{4,5})\}?/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
  const characters = plain.match(/[^\\()[\]{}|?*+^$]/gu) ?? [];
  const words = source.match(/[a-zA-Z<>_/:.@-]{2,}/g) ?? [];
  return [
    ...new Set([
      ...characters,
      ...words,
      ' ',
      '\n',
      '\t',
      'a',
      'A',
      '0',
      '.',
      ',',
      '<',
      '"',
      "'",
      '\\',
      '-',
      '/',
      'é',
      '\u0301',
    ]),
  ];
}

/** How much processor time a pattern takes on the worst of the texts that are made of it, and on which. */
function worstOf(pattern: RegExp): { readonly cpuMs: number; readonly text: string } {
  const pieces = piecesOf(pattern);
  const isGlobal = pattern.flags.includes('g') || pattern.flags.includes('y');
  const all = isGlobal ? pattern : new RegExp(pattern.source, `${pattern.flags}g`);
  let worst = { cpuMs: 0, text: '' };
  const begin = pieces.slice(0, 3).join('');
  for (const piece of pieces) {
    for (const [before, behind] of [
      ['', '\u0000'],
      [begin, '\u0000'],
      ['\u0000', 'x\u0000'],
      [pieces[0] ?? '', `${pieces[1] ?? ''}\u0000`],
    ] as const) {
      const text = `${before}${piece.repeat(Math.ceil(RUN / piece.length))}${behind}`;
      const start = process.threadCpuUsage();
      text.replace(all, '');
      const { user, system } = process.threadCpuUsage(start);
      const cpuMs = (user + system) / 1000;
      if (cpuMs > worst.cpuMs) worst = { cpuMs, text: `${before}(${piece})*${behind}` };
      if (cpuMs > MAX_CPU_MS) return worst;
    }
  }
  return worst;
}

test('a pattern that takes the square of a text is found', () => {
  for (const pattern of [/[\s.]+$/, /\s+$/g, /^\s*(?:<[^<>]*>|)\s*$/]) {
    assert.ok(worstOf(pattern).cpuMs > MAX_CPU_MS, String(pattern));
  }
  assert.ok(worstOf(/^[\s.]+/g).cpuMs < MAX_CPU_MS);
  assert.deepEqual(
    literalsOf("const a = b / c; const d = /x\\/[/]y/g; // /no/\nf(`/no/ ${g(/z/u)} /no/`, '/no/'); /* /no/ */").map(
      String,
    ),
    [String(/x\/[/]y/g), String(/z/u)],
  );
});

test('every regular expression of the sources is linear', async () => {
  const composed: string[] = [];
  const slow: string[] = [];
  let tried = 0;
  for await (const path of glob('{packages,services}/*/src/**/*.ts', { cwd: root })) {
    if (path.endsWith('.test.ts')) continue;
    const code = await readFile(join(root, path), 'utf8');
    if (code.includes('new RegExp(')) composed.push(path);
    for (const pattern of [...literalsOf(code), ...(COMPOSED[path] ?? [])]) {
      if (OWN.has(`${path}: ${String(pattern)}`)) continue;
      const { cpuMs, text } = worstOf(pattern);
      if (cpuMs > MAX_CPU_MS)
        slow.push(`${path}: ${String(pattern)} takes ${Math.round(cpuMs)} ms for ${JSON.stringify(text)}`);
      tried += 1;
    }
  }
  assert.deepEqual(slow, []);
  assert.ok(tried > 100, `only ${tried} found`);
  assert.deepEqual(
    composed.toSorted(),
    Object.keys(COMPOSED).toSorted(),
    'patterns put together from parts are listed here',
  );
});
