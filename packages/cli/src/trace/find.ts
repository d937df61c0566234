import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';
import { tracedLine, type TracedLine } from './way.ts';

const LINES_AT_A_TIME = 1_000;

const results = z.object({
  data: z.array(z.unknown()),
  cursor: z.string(),
  has_more: z.boolean(),
  complete: z.boolean(),
});

/** The result line of a document, looked for in the results of its batch as far as they are there. */
export async function findLine(api: ApiClient, batch: string, customId: string): Promise<TracedLine> {
  const path = `/batches/${encodeURIComponent(batch)}/results?limit=${LINES_AT_A_TIME}`;
  for (let after = ''; ;) {
    const read = results.parse(await api.get(`${path}${after === '' ? '' : `&after=${after}`}`));
    const found = read.data.find((line) => (line as { custom_id?: unknown }).custom_id === customId);
    if (found !== undefined) return tracedLine.parse(found);
    if (!read.has_more) {
      throw new UserError(
        read.complete
          ? `${batch} has no document with the custom_id ${customId}`
          : `${customId} has no result in storage yet: results get there a page at a time; try again later`,
      );
    }
    after = read.cursor;
  }
}
