import { messageOf } from './api.ts';
import { cellText, parsePrompt, renderPrompt } from '@spillway/core/prompt';
import { parse } from 'csv-parse/browser/esm/sync';

/** A document of a file: what a prompt may name, or a request as it stands. */
export type Read =
  | { readonly kind: 'document'; readonly id: string; readonly values: Readonly<Record<string, unknown>> }
  | { readonly kind: 'request'; readonly id: string; readonly line: Readonly<Record<string, unknown>> };

/** Why a file cannot be read. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

/** A file by the name that its documents have, as `spillway run` has it: below the folder that was chosen its path there. */
export const nameOf = ({ name, webkitRelativePath: path }: File): string =>
  path === '' ? name : path.slice(path.indexOf('/') + 1);

/** Files that are for the system: nobody chose them. */
export const isHidden = (file: File): boolean =>
  nameOf(file)
    .split('/')
    .some((part) => part.startsWith('.'));

/** What is read of a file, and what of it cannot be. */
type ReadFile = { readonly documents: readonly Read[]; readonly problems: readonly string[] };

const whole = (documents: readonly Read[]): ReadFile => ({ documents, problems: [] });

const TEXTS = new Set(['txt', 'md', 'markdown', 'text', 'log', 'json', 'xml', 'yaml', 'yml', 'eml']);

/** The documents of a file, by its extension. */
export async function readFile(file: File): Promise<ReadFile> {
  const name = nameOf(file);
  const extension = /\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? 'txt';
  if (extension === 'csv' || extension === 'tsv') return readTable(name, await textOf(file), extension);
  if (extension === 'jsonl' || extension === 'ndjson') return whole(readLines(name, await textOf(file)));
  if (TEXTS.has(extension)) {
    const text = await textOf(file);
    if (text.trim() === '') throw new Unreadable(`${name}: is empty`);
    return whole([{ kind: 'document', id: name, values: { text } }]);
  }
  throw new Unreadable(`${name}: this page reads text, CSV and JSON lines; spillway run reads .${extension} as well`);
}

async function textOf(file: File): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    throw new Unreadable(`${nameOf(file)}: is no UTF-8 text`, { cause: error });
  }
}

const DELIMITERS = [',', ';', '\t', '|'] as const;

function readTable(name: string, text: string, extension: string): ReadFile {
  const [header = ''] = text.split('\n', 1);
  const most = DELIMITERS.toSorted((left, right) => header.split(right).length - header.split(left).length)[0];
  const delimiter = extension === 'tsv' ? '\t' : (most ?? ',');
  let columns: readonly string[] = [];
  let rows: string[][];
  try {
    [columns = [], ...rows] = parse(text, { delimiter, bom: true, relax_column_count: true, skip_empty_lines: true });
  } catch (error) {
    throw new Unreadable(`${name}: ${messageOf(error)}`, { cause: error });
  }
  if (rows.length === 0) throw new Unreadable(`${name}: has no rows`);
  const problems: string[] = [];
  const documents = rows.flatMap((row, at): Read[] => {
    const id = `${name}:${at + 1}`;
    if (row.length === columns.length) {
      const values = Object.fromEntries(columns.map((column, cell) => [column, row[cell] ?? '']));
      return [{ kind: 'document', id, values }];
    }
    problems.push(`${id}: has ${row.length} cells, but there are ${columns.length} columns`);
    return [];
  });
  return { documents, problems };
}

function readLines(name: string, text: string): Read[] {
  return text
    .split('\n')
    .map((line, at) => [line, at + 1] as const)
    .filter(([line]) => line.trim() !== '')
    .map(([line, number]) => readLine(name, line, number));
}

function readLine(name: string, line: string, number: number): Read {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new Unreadable(`${name}, line ${number}: is not JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unreadable(`${name}, line ${number}: is no JSON object`);
  const values = value as Record<string, unknown>;
  const { custom_id: customId, body } = values;
  return typeof customId === 'string' && typeof body === 'object' && body !== null
    ? { kind: 'request', id: customId, line: values }
    : { kind: 'document', id: `${name}:${number}`, values };
}

/** The lines of an input file: what is a request already gets its cascade, a document the prompt, filled in. */
export function requestLines(
  all: readonly Read[],
  {
    cascade,
    prompt,
    system,
    idColumn,
  }: { readonly cascade: string; readonly prompt: string; readonly system: string; readonly idColumn: string },
): string[] {
  const parsed = parsePrompt(prompt);
  const before = system.trim() === '' ? [] : [{ role: 'system', content: system }];
  return all.map((one) => {
    if (one.kind === 'request') {
      const body = { ...(one.line['body'] as object), model: cascade };
      return `${JSON.stringify({ ...one.line, body })}\n`;
    }
    const missing = parsed.names.find((name) => !Object.hasOwn(one.values, name));
    if (missing !== undefined)
      throw new Unreadable(
        `${one.id}: has no {{${missing}}}, but ${Object.keys(one.values)
          .map((name) => `{{${name}}}`)
          .join(', ')}`,
      );
    const content = renderPrompt(parsed, one.values);
    const id = idColumn === '' ? one.id : cellText(one.values[idColumn] ?? one.id);
    const body = { model: cascade, messages: [...before, { role: 'user', content }] };
    return `${JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  });
}
