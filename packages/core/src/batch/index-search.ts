import type { Bits } from '../text/digest.ts';
import { blocksOf, IndexWindow, type DocumentIndex, type IndexRange } from './document-index.ts';

/** What is looked for: documents from one on whose `custom_id` has these bits. */
export type SoughtDocuments = { readonly id: Bits; readonly from: number };

/**
 * Blocks that are read at a time, 64 KiB: bits of a digest are spread so evenly that of a million rows one lies within
 * them, 1,600 rows to either side of where it should, but for one in a thousand.
 */
const WINDOW_BLOCKS = 16;

/** Reads that go to where a row should lie. Ids that were chosen to lie elsewhere are found by halving. */
const MAX_GUESSES = 2;

/** A search for rows: yields which bytes of the index it wants, and is given them. */
type Reading<Found> = Generator<IndexRange, Found, Uint8Array>;

/**
 * The documents that are looked for, at most so many, in order; null: a part of the index that was read is damaged. It
 * reads once or twice, whatever the index's length, and in no case more often than halving it takes.
 */
export function* searchingIndex(
  { rows }: DocumentIndex,
  sought: SoughtDocuments,
  most: number,
): Reading<number[] | null> {
  const documents: number[] = [];
  const place = yield* seekingFirst(rows, sought);
  let { window } = place;
  for (let row = place.row; window !== null; row += 1) {
    if (row === window.rows) {
      if (window.end === blocksOf(rows)) return documents;
      window = yield* readingWindow(window.end, rows);
      row = 0;
      if (window === null) return null;
    }
    if (!isSame(window.id(row), sought.id)) return documents;
    documents.push(window.document(row));
    if (documents.length === most) return documents;
  }
  return null;
}

/** The first row that is not before what is looked for; behind the window's last one: it is the next window's first. */
type Place = { readonly window: IndexWindow | null; readonly row: number };

function* seekingFirst(rows: number, sought: SoughtDocuments): Reading<Place> {
  const wanted = numberOf(sought.id);
  /** The row lies in these blocks, or is the first one behind them; the numbers are those of the rows around them. */
  let [low, high] = [0, blocksOf(rows)];
  let [lowNumber, highNumber] = [0, 2 ** 64];
  for (let reads = 0; ; reads += 1) {
    const share = reads < MAX_GUESSES ? (wanted - lowNumber) / Math.max(1, highNumber - lowNumber) : 0.5;
    const guess = low + Math.floor(share * (high - low)) - WINDOW_BLOCKS / 2;
    const first = Math.max(low, Math.min(guess, high - WINDOW_BLOCKS));
    const window = yield* readingWindow(first, rows);
    if (window === null) return { window, row: 0 };
    const row = firstRow(window, sought);
    if (row === window.rows && window.end < high) {
      low = window.end;
      lowNumber = numberOf(window.id(row - 1));
    } else if (row === 0 && first > low) {
      high = first;
      highNumber = numberOf(window.id(0));
    } else return { window, row };
  }
}

const readingWindow = (first: number, rows: number): Reading<IndexWindow | null> =>
  IndexWindow.reading(first, Math.min(first + WINDOW_BLOCKS, blocksOf(rows)), rows);

/** The window's first row that is not before what is looked for. */
function firstRow(window: IndexWindow, sought: SoughtDocuments): number {
  let [low, high] = [0, window.rows];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(window, middle, sought)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isBefore(window: IndexWindow, row: number, { id, from }: SoughtDocuments): boolean {
  const { high, low } = window.id(row);
  if (high !== id.high) return high < id.high;
  return low === id.low ? window.document(row) < from : low < id.low;
}

const isSame = (left: Bits, right: Bits): boolean => left.high === right.high && left.low === right.low;

/** Near enough to guess by. */
const numberOf = ({ high, low }: Bits): number => high * 2 ** 32 + low;
