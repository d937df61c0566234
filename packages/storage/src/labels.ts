import {
  cutText,
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
  const reading = new LabelReading(wanted);
  for await (const chunk of bytes) {
    for (let from = 0; from < chunk.length; from += SLICE_BYTES) {
      await runSliced(reading.taking(chunk.subarray(from, from + SLICE_BYTES)));
      if (reading.isOver) return reading.end();
    }
  }
  await runSliced(reading.takingRest());
  return reading.end();
}

/** So much of a file is read in one slice, or so many of its lines. */
const SLICE_BYTES = 16 * 1024;
const SLICE_LINES = 128;

/** Lines of a file that are no labels, such as blank ones, are at most as many as labels may be. */
const MAX_LINES = 2 * LIMITS.labels;

/** Labels as they are read, a piece of their file after the other. */
class LabelReading {
  readonly #wanted: ReadonlySet<string>;
  readonly #labels = new Map<string, Label>();
  readonly #errors: LineError[] = [];
  readonly #splitter = new LineSplitter(LIMITS.labelBytes);
  #bytes = 0;
  /** No more is to be read: what is wrong is known. */
  isOver = false;

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted;
  }

  *taking(bytes: Uint8Array): Sliced<void> {
    this.#bytes += bytes.length;
    if (this.#bytes > LIMITS.labelsFileBytes) {
      this.#fail(errorOf(`The file of labels is longer than ${LIMITS.labelsFileBytes} bytes.`));
      return;
    }
    yield* this.#takingLines(this.#splitter.push(bytes));
  }

  *takingRest(): Sliced<void> {
    yield* this.#takingLines(this.#splitter.end());
  }

  end(): ReadLabels {
    if (this.#errors.length === 0 && this.#labels.size === 0)
      this.#errors.push(errorOf('The file of labels has none.'));
    return this.#errors.length > 0
      ? { kind: 'errors', errors: this.#errors }
      : { kind: 'labels', labels: this.#labels };
  }

  *#takingLines(lines: Iterable<Line>): Sliced<void> {
    let taken = 0;
    for (const line of lines) {
      if (line.number > MAX_LINES) {
        this.#fail(errorOf(`The file of labels has more than ${MAX_LINES} lines.`));
        return;
      }
      const problem = addLabel(this.#labels, line, this.#wanted);
      if (problem !== null) this.#errors.push(errorOf(problem, line.number));
      if (this.#errors.length >= LIMITS.validationErrors) {
        this.isOver = true;
        return;
      }
      taken += 1;
      if (taken % SLICE_LINES === 0) yield;
    }
  }

  #fail(error: LineError): void {
    this.#errors.push(error);
    this.isOver = true;
  }
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
  if (labels.has(id)) return `the document ${shownId(id)} has a label before.`;
  if (labels.size >= LIMITS.labels) return `there are more than ${LIMITS.labels} labels.`;
  labels.set(id, { answer: wanted.has(id) ? labelText(read.data) : null, line: number });
  return null;
}

/** As much of an id as a message repeats. */
const MAX_SHOWN_ID_CHARACTERS = 64;
const shownId = (id: string): string => JSON.stringify(cutText(id, MAX_SHOWN_ID_CHARACTERS, '…'));

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
  return unknown.map(([id, { line }]) => errorOf(`the batch has no document ${shownId(id)}.`, line));
}
