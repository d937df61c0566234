import type { ResultLine } from '@spillway/core';
import { UserError, type ApiClient } from '../client.ts';
import { readLine, readResults } from '../results.ts';

const LINES_AT_A_TIME = 1_000;

/** The result line of a document, as far as the results of its batch are there. An API that does not look for it sends all. */
export async function findLine(api: ApiClient, batch: string, customId: string): Promise<ResultLine> {
  let isComplete = false;
  for await (const { lines, isAll } of readResults(api, batch, { limit: LINES_AT_A_TIME, customId })) {
    const found = lines.find((line) => (line as { custom_id?: unknown }).custom_id === customId);
    if (found !== undefined) return readLine(found);
    isComplete = isAll;
  }
  throw new UserError(
    isComplete
      ? `${batch} has no document with the custom_id ${customId}`
      : `${customId} has no result in storage yet: results get there a page at a time; try again later`,
  );
}
