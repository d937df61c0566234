import {
  contentOf,
  DocumentSizes,
  findingCopies,
  KEYS,
  LIMITS,
  type CascadeRules,
  type LineError,
  type Manifest,
} from '@spillway/core';
import { nextRound, runSliced, type InputLimits } from '@spillway/runtime';
import {
  findInput,
  InputCheck,
  labelErrors,
  UNKNOWN_INPUT,
  type ReadPart,
  type Records,
  type Storage,
} from '@spillway/storage';
import { writingLines } from '../batches/inline.ts';
import type { BatchOrder } from '../batches/order.ts';
import { ApiError } from '../errors.ts';

/** Where input lies. */
export type InputPlaces = {
  readonly storage: Storage;
  readonly records: Records;
  readonly inputLimits: InputLimits;
};

/** A batch that nobody made, with the rules that it would have. */
export type OrderedBatch = Pick<Manifest, 'id' | 'tenant' | 'endpoint' | 'metadata' | 'cascades'> & {
  readonly input: BatchOrder['input'];
  /** Those that came with it. */
  readonly requests: readonly string[];
};

/** What the check of an input found. */
export type Checked = {
  readonly errors: readonly LineError[];
  readonly total: number;
  readonly badLines: number;
  readonly copies: number;
  /** Documents of each cascade, copies among them. */
  readonly cascades: ReadonlyMap<string, number>;
  /** Of those that are asked about. */
  readonly sizes: DocumentSizes;
  /** Reads lines again. */
  readonly readPart: ReadPart;
};

/** An input as it comes, and as parts of it are read again. */
type Input = { readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>; readonly readPart: ReadPart };

/** Bytes that are looked at before it is seen whether others wait for the event loop, and how long they may. */
const PIECE_BYTES = 16 * 1024;
const MAX_HELD_MS = 8;

/** Checks the input of a batch as the dispatcher would, without holding the event loop, and only for so long. */
export async function checkInput(places: InputPlaces, batch: OrderedBatch, signal: AbortSignal): Promise<Checked> {
  const sizes = new DocumentSizes();
  const cascades = new Map<string, number>();
  const late = AbortSignal.timeout(LIMITS.dryRunCheckMs);
  const ending = AbortSignal.any([signal, late]);
  const refuse = (): void => {
    if (signal.aborted) throw clientGone();
    if (late.aborted) throw tooLate();
  };
  try {
    const input = await openInput(places, batch, ending);
    const readPart = input?.readPart ?? (async () => null);
    if (input === null) {
      return { errors: [UNKNOWN_INPUT], total: 0, badLines: 0, copies: 0, cascades, sizes, readPart };
    }
    const check = new InputCheck(
      readPart,
      batch,
      places.inputLimits,
      ({ cascade, body }, { offset, length }, document) => {
        cascades.set(cascade, (cascades.get(cascade) ?? 0) + 1);
        sizes.add({ ...contentOf(body), document, offset, bytes: length, cascade });
      },
    );
    await readAll(check, input, refuse);
    const found = await check.finish();
    const { total, badLines, rows } = found;
    const errors = found.errors.length > 0 ? found.errors : await labelErrors(places.storage, batch, found);
    const copies = await runSliced(findingCopies(rows));
    await runSliced(sizes.dropping(copies));
    refuse();
    return { errors, total, badLines: badLines?.count ?? 0, copies: copies.length, cascades, sizes, readPart };
  } catch (error) {
    refuse();
    throw error;
  }
}

async function readAll(check: InputCheck, { chunks }: Input, refuse: () => void): Promise<void> {
  let freeAtMs = performance.now();
  const breathe = async (): Promise<void> => {
    refuse();
    if (performance.now() - freeAtMs < MAX_HELD_MS) return;
    await nextRound();
    freeAtMs = performance.now();
  };
  for await (const chunk of chunks) {
    freeAtMs = performance.now();
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      for await (const _again of check.read(chunk.subarray(at, at + PIECE_BYTES))) await breathe();
      if (check.isOver) return;
      await breathe();
    }
  }
}

/** Null: there is no such file, or it is not the tenant's. */
async function openInput(
  { storage, records }: InputPlaces,
  { input, tenant, requests }: OrderedBatch,
  signal: AbortSignal,
): Promise<Input | null> {
  if (input === 'requests') {
    const bytes = await runSliced(writingLines(requests));
    return { chunks: [bytes], readPart: async ({ start, end }) => bytes.subarray(start, end) };
  }
  const file = await findInput(records, { inputFileId: input.fileId, tenant }, Date.now());
  if (file === null) return null;
  const key = KEYS.fileBytes(file.id);
  const chunks = await storage.stream(key, undefined, signal);
  return chunks === null ? null : { chunks, readPart: (range) => storage.read(key, range) };
}

/** The rules of the cascades that documents name, in the order of the sizes' own. */
export const rulesIn = ({ sizes }: Checked, { cascades }: OrderedBatch): readonly CascadeRules[] =>
  sizes.cascades.flatMap((name) => cascades[name] ?? []);

/** Nobody reads this. */
export const clientGone = (): ApiError =>
  new ApiError(504, 'The client did not wait for the answer.', { code: 'request_timeout' });

const tooLate = (): ApiError =>
  new ApiError(
    503,
    `The input could not be checked within the ${LIMITS.dryRunCheckMs / 1000} s of a dry run. Try again when less is ` +
      'under way, or create the batch: it is validated as a part of its work.',
    { code: 'service_unavailable', headers: { 'retry-after': '60', 'x-should-retry': 'false' } },
  );
