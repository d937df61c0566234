import {
  digestBits,
  isBadLine,
  KEYS,
  labelledAnswer,
  labelsFileOf,
  LABELS_KEY,
  labelText,
  LIMITS,
  LineSplitter,
  readingJson,
  runAtOnce,
  writtenId,
  type Line,
  type LineError,
  type Manifest,
  type Sliced,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { CheckedInput } from './input-check.ts';
import type { Storage } from './storage.ts';

/** The right answer of a document, and where its label stands; null: it was not asked for. */
type Label = { readonly answer: string | null; readonly line: number };

/** Labels by the documents' ids, or what is wrong with them. */
export type ReadLabels =
  | { readonly kind: 'labels'; readonly labels: ReadonlyMap<string, Label> }
  | { readonly kind: 'errors'; readonly errors: readonly LineError[] };

/** What is compared value by value has no more. */
const MAX_VALUES = 10_000;

const PARAM = `metadata.${LABELS_KEY}`;

const errorOf = (message: string, line: number | null = null): LineError => ({
  code: 'invalid_labels',
  message: line === null ? message : `The labels, line ${line}: ${message}`,
  param: PARAM,
  line: null,
});

/**
 * Reads a file of labels: a line `{"custom_id": …, "answer": …}` each. Everything that is wrong is named by its line. Only
 * the answers of the `wanted` documents are kept, so that memory does not depend on how long they are.
 */
export async function readLabels(
  storage: Storage,
  file: string,
  wanted: ReadonlySet<string> = new Set(),
): Promise<ReadLabels> {
  const bytes = await storage.stream(KEYS.fileBytes(file));
  if (bytes === null) return { kind: 'errors', errors: [errorOf('The file of labels does not exist.')] };
  const labels = new Map<string, Label>();
  const errors: LineError[] = [];
  const splitter = new LineSplitter(LIMITS.labelBytes);
  const take = (lines: Iterable<Line>): boolean => {
    for (const line of lines) {
      const problem = addLabel(labels, line, wanted);
      if (problem !== null) errors.push(errorOf(problem, line.number));
      if (errors.length >= LIMITS.validationErrors) return false;
    }
    return true;
  };
  for await (const chunk of bytes) if (!take(splitter.push(chunk))) break;
  if (errors.length < LIMITS.validationErrors) take(splitter.end());
  if (errors.length === 0 && labels.size === 0) errors.push(errorOf('The file of labels has none.'));
  return errors.length > 0 ? { kind: 'errors', errors } : { kind: 'labels', labels };
}

function addLabel(
  labels: Map<string, Label>,
  { bytes, number, tooLong }: Line,
  wanted: ReadonlySet<string>,
): string | null {
  if (tooLong) return `is longer than ${LIMITS.labelBytes} bytes.`;
  const text = bytes.toString('utf8').trim();
  if (text === '') return null;
  const json = runAtOnce(readingJson(text, { depth: LIMITS.jsonDepth, values: MAX_VALUES }));
  if (json.kind === 'beyond') return 'is nested too deep, or has too many values.';
  const read = labelledAnswer.safeParse(json.kind === 'json' ? json.value : null);
  if (!read.success) return 'expected {"custom_id": …, "answer": …}.';
  const id = writtenId(read.data.custom_id);
  if (labels.has(id)) return `the document ${JSON.stringify(id)} has a label before.`;
  if (labels.size >= LIMITS.labels) return `there are more than ${LIMITS.labels} labels.`;
  labels.set(id, { answer: wanted.has(id) ? labelText(read.data) : null, line: number });
  return null;
}

/** What of a batch says whether it has labels, and what they are for. */
type LabelledOrder = Pick<Manifest, 'metadata' | 'cascades' | 'retry'>;

/** Has the labelled documents drawn of a batch that is promised an accuracy; what is wrong with its labels. */
export async function labelErrors(
  storage: Storage,
  { metadata, cascades, retry }: LabelledOrder,
  checked: CheckedInput,
): Promise<readonly LineError[]> {
  const file = labelsFileOf(metadata);
  if (file === null || !Object.values(cascades).some(({ aim }) => aim?.kind === 'accuracy')) return [];
  const read = await readLabels(storage, file);
  if (read.kind === 'errors') return read.errors;
  const errors = await runSliced(drawingLabelled(read.labels, checked));
  // A retry has some of the documents only.
  return retry === undefined ? errors : [];
}

/** Rows that are looked at in a slice. */
const SLICE_ROWS = 20_000;

function* drawingLabelled(
  labels: ReadonlyMap<string, Label>,
  { draws, rows, cascades, badLines }: CheckedInput,
): Sliced<readonly LineError[]> {
  const [cascade, other] = cascades;
  if (cascade === undefined || other !== undefined) {
    return [errorOf('A promise by labels is for a batch whose documents all name one cascade.')];
  }
  const left = new Map<string, Label>(labels);
  const byBits = new Map<string, string>();
  for (const id of labels.keys()) {
    const { high, low } = digestBits(id);
    byBits.set(`${high} ${low}`, id);
    if (byBits.size % SLICE_ROWS === 0) yield;
  }
  for (let row = 0; row < rows.size; row += 1) {
    const id = byBits.get(`${rows.idHigh[row] ?? 0} ${rows.idLow[row] ?? 0}`);
    const document = rows.documents[row] ?? 0;
    if (id !== undefined && !isBadLine(badLines, document)) {
      left.delete(id);
      draws.addLabelled(document, cascade);
    }
    if (row % SLICE_ROWS === SLICE_ROWS - 1) yield;
  }
  const unknown = [...left].slice(0, LIMITS.validationErrors);
  return unknown.map(([id, { line }]) => errorOf(`the batch has no document ${JSON.stringify(id)}.`, line));
}
