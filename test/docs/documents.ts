import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/compose.ts';

/** A fenced block of a document. */
export type Block = {
  /** Where it begins, as `docs/api.md:12`. */
  readonly at: string;
  readonly language: string;
  readonly text: string;
};

/** The documents of the repository, by their paths from its root. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'k8s/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export const readText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const FENCE = /^ *```(\w*)\n([\s\S]*?)^ *```$/gm;

/** The fenced blocks of a document. */
export function blocksOf(path: string): Block[] {
  const text = readText(path);
  return [...text.matchAll(FENCE)].map(({ 1: language = '', 2: inner = '', index }) => ({
    at: `${path}:${text.slice(0, index).split('\n').length}`,
    language,
    text: inner,
  }));
}

/** A document without its fenced blocks. */
export const proseOf = (path: string): string => readText(path).replaceAll(FENCE, '');

/** The one block of a language below a heading. */
export function blockBelow(path: string, heading: string, language: string): string {
  const text = sectionOf(path, heading);
  const found = [...text.matchAll(FENCE)].find(({ 1: own }) => own === language)?.[2];
  if (found === undefined) throw new Error(`${path} has no ${language} below "${heading}"`);
  return found;
}

/** What stands below a heading, up to the next one of its level or above. */
export function sectionOf(path: string, heading: string): string {
  const text = readText(path);
  const start = text.search(new RegExp(`^#+ ${escaped(heading)}$`, 'm'));
  if (start === -1) throw new Error(`${path} has no heading "${heading}"`);
  const [first = '', ...lines] = text.slice(start).split('\n');
  const level = /^#+/.exec(first)?.[0].length ?? 1;
  let isInBlock = false;
  const end = lines.findIndex((line) => {
    if (/^ *```/.test(line)) isInBlock = !isInBlock;
    return !isInBlock && (/^#+(?= )/.exec(line)?.[0].length ?? Infinity) <= level;
  });
  return lines.slice(0, end === -1 ? undefined : end).join('\n');
}

/** The rows of the first table of a text whose first column has this title, each as its cells. */
export function tableOf(text: string, firstTitle: string): string[][] {
  const lines = text.split('\n');
  const isTitle = (line: string): boolean => line.startsWith('|') && cellsOf(line)[0] === firstTitle;
  const at = lines.findIndex(isTitle);
  if (at === -1) throw new Error(`no table begins with "${firstTitle}"`);
  const rows = lines.slice(at + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end === -1 ? undefined : end).map(cellsOf);
}

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\| ?/, '')
    .replace(/ ?\|$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

/** What stands between backticks in a text. */
export const namesIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(path: string): Set<string> {
  const headings = [...proseOf(path).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title);
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The sources below a folder, tests left out, as one text each. */
export function sourcesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map((name) => readText(join(folder, name)));
}
