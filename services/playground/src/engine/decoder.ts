import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor, env } from 'onnxruntime-web';
import { END } from './tokenizer.ts';

/** What training/export.py writes beside the weights. */
export interface DecoderShape {
  readonly layers: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly vocabulary: number;
  readonly contextTokens: number;
  readonly lookBack: number;
  readonly parameters: number;
}

/** A row of a batch: tokens that are new, and the ones before them of which keys and values are already known. */
interface DecoderRow {
  readonly tokens: readonly number[];
  /** Where the new tokens start. */
  readonly from: number;
}

export interface DecoderOutput {
  /** [rows, newTokens, vocabulary] */
  readonly logits: Float32Array;
  /** [rows, planes, newTokens, headWidth] */
  readonly fresh: Float32Array;
  /** The longest row's new tokens; shorter rows are padded on the right. */
  readonly newTokens: number;
}

export interface Decoder {
  readonly shape: DecoderShape;
  /** Runs rows of unequal length together; `past` holds [rows, planes, pastColumns, headWidth]. */
  run(rows: readonly DecoderRow[], past: Float32Array, pastColumns: number): Promise<DecoderOutput>;
  release(): Promise<void>;
}

/** Keys and values of every head of every layer: how many planes of [columns, headWidth] one row's cache has. */
export function planesOf(shape: DecoderShape): number {
  return 2 * shape.layers * shape.heads;
}

function fillWindow(window: BigInt64Array, rows: readonly DecoderRow[], lookBack: number, newTokens: number): void {
  const width = lookBack + newTokens;
  window.fill(BigInt(END));
  rows.forEach((row, r) => {
    for (let column = 0; column < width; column++) {
      const position = row.from - lookBack + column;
      if (position < 0 || position >= row.tokens.length) continue;
      window[r * width + column] = BigInt(row.tokens[position] ?? END);
    }
  });
}

/** Loads a model from a folder of weights, one thread: the two models of the playground have a thread of their own each. */
export async function loadDecoder(weights: URL, file: string): Promise<Decoder> {
  env.wasm.numThreads = 1;
  env.logLevel = 'error';
  const shape = JSON.parse(readFileSync(new URL(`${file}.json`, weights), 'utf8')) as DecoderShape;
  const session = await InferenceSession.create(readFileSync(new URL(`${file}.onnx`, weights)), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  return {
    shape,
    run: async (rows, past, pastColumns) => {
      const newTokens = Math.max(...rows.map((row) => row.tokens.length - row.from));
      const window = new BigInt64Array(rows.length * (shape.lookBack + newTokens));
      fillWindow(window, rows, shape.lookBack, newTokens);
      const pastLength = BigInt64Array.from(rows, (row) => BigInt(row.from));
      const outputs = await session.run({
        window: new Tensor('int64', window, [rows.length, shape.lookBack + newTokens]),
        past_length: new Tensor('int64', pastLength, [rows.length]),
        past: new Tensor('float32', past, [rows.length, 2 * shape.layers, shape.heads, pastColumns, shape.headWidth]),
      });
      return {
        logits: outputs['logits']?.data as Float32Array,
        fresh: outputs['fresh']?.data as Float32Array,
        newTokens,
      };
    },
    release: () => session.release(),
  };
}
