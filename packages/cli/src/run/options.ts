import type { Kind } from '../documents/source.ts';
import type { Format } from '../rows/format.ts';

/** What `spillway run` was asked for. */
export type RunOptions = {
  readonly paths: readonly string[];
  /** Null: the only one that there is. */
  readonly cascade: string | null;
  /** A file or the text itself; null: the text of the document. */
  readonly prompt: string | null;
  readonly system: string | null;
  /** A file with a JSON schema. */
  readonly schema: string | null;
  readonly temperature: number | null;
  readonly maxTokens: number | null;
  /** The column with the ids. */
  readonly id: string | null;
  readonly from: Kind | null;
  readonly onUnreadable: 'skip' | 'stop';
  /** Null: JSON lines on standard output. */
  readonly out: string | null;
  readonly format: Format;
  readonly escapesFormulas: boolean;
  readonly maxUsd: string | null;
  readonly window: string;
  readonly name: string | null;
  /** Labels and settings of the batch, beside what other options say. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A folder that remembers answers. */
  readonly state: string | null;
  /** Documents that an estimate asks about, and pays for; null: none. */
  readonly pilot: number | null;
  readonly isConfirmed: boolean;
  readonly isJson: boolean;
};
