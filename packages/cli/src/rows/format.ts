import { extname } from 'node:path';
import { UserError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';

export const FORMATS = ['jsonl', 'csv', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** The format that a file's name says. */
export function formatOf(path: string): Format {
  const ending = extname(path).slice(1).toLowerCase();
  const format = FORMATS.find((one) => one === ending);
  if (format !== undefined) return format;
  throw new UserError(`--out ${path}: expected a name that ends with .${FORMATS.join(', .')}`, {
    exitCode: EXIT.usage,
  });
}
