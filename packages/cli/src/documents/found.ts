import type { JsonObject } from '@spillway/core';
import type { Row } from '../rows/row.ts';

/** What a source holds, in its order. */
export type Found =
  | {
      readonly kind: 'document';
      /** Unique among all sources. */
      readonly id: string;
      /** What a prompt may name. */
      readonly values: Row;
      /** What is joined to the result: the columns of a row; of a file nothing, as its id is its name. */
      readonly kept: Row;
    }
  | { readonly kind: 'request'; readonly id: string; readonly url: string; readonly body: JsonObject }
  /** What cannot be read, and why: a file, a row, or the rest of a file. */
  | { readonly kind: 'unreadable'; readonly id: string; readonly reason: string };

/** The id of a row, from 1. */
export const rowId = (source: string, row: number): string => `${source}:${row}`;
