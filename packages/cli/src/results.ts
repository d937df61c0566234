import { isJsonObject, resultLine, type ResultLine } from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from './client.ts';

const answer = z.object({
  data: z.array(z.unknown()),
  cursor: z.string(),
  has_more: z.boolean(),
  complete: z.boolean(),
});

/** Some result lines of a batch. */
type Results = {
  readonly lines: readonly unknown[];
  /** Whether nothing comes after them, ever; until then the batch has documents without a result in storage. */
  readonly isAll: boolean;
};

type ReadOptions = { readonly limit: number; readonly customId?: string; readonly withRetries?: boolean };

/** The result lines of a batch that are in storage by now, so many at a time; those of one `custom_id`, or all. */
export async function* readResults(
  api: ApiClient,
  batch: string,
  { limit, customId, withRetries = false }: ReadOptions,
): AsyncGenerator<Results> {
  const query = new URLSearchParams({
    limit: `${limit}`,
    ...(customId === undefined ? {} : { custom_id: customId }),
    ...(withRetries ? { with: 'retries' } : {}),
  });
  for (;;) {
    const path = `/batches/${encodeURIComponent(batch)}/results?${query.toString()}`;
    const { data, cursor, has_more, complete } = answer.parse(await api.get(path));
    yield { lines: data, isAll: complete && !has_more };
    if (!has_more) return;
    query.set('after', cursor);
  }
}

/** A result line by its schema; an API of another version may write others. */
export function readLine(value: unknown): ResultLine {
  const { success, data, error } = resultLine.safeParse(value);
  if (success) return data;
  const [issue] = error.issues;
  throw new UserError(
    `The API's result lines are not of this version: ${issue?.path.join('.') || '(top level)'}: ${issue?.message ?? ''}`,
    { cause: error },
  );
}

/** The same where only what every version has is read: a newer API's lines are taken as well. */
export function takeLine(value: unknown): ResultLine {
  const isLine = isJsonObject(value) && 'custom_id' in value && 'response' in value && 'error' in value;
  return isLine ? (value as unknown as ResultLine) : readLine(value);
}
