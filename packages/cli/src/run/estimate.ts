import { isJsonObject } from '@spillway/core';
import { z } from 'zod';
import { counted, dollars, percent, range, seconds } from '@spillway/core/amounts';
import { Refused, UserError, type ApiClient } from '../client.ts';

const amounts = z.object({ low: z.number(), high: z.number() }).nullish();

/** What is read of an estimate. */
const estimateObject = z.object({
  errors: z.object({ data: z.array(z.object({ message: z.string(), line: z.number().nullish() })) }).nullish(),
  documents: z.object({ total: z.number() }),
  cost_usd: amounts,
  all_expert_usd: amounts,
  escalated_share: amounts,
  seconds: amounts,
  pilot: z.object({ documents: z.number(), cost_usd: z.number().nullish() }).nullish(),
  notes: z.array(z.string()).nullish(),
});

export type Estimate = { readonly sent: unknown; readonly lines: readonly string[] };

type Create = Readonly<Record<string, unknown>>;

/**
 * What a batch will probably cost and take; null where the API does not say that. With a pilot so many documents are asked
 * about at once, and paid for.
 */
export async function estimateBatch(
  api: ApiClient,
  create: Create,
  pilot: number | null = null,
): Promise<Estimate | null> {
  // An API that does not know the parameter would make the batch.
  if (!knowsDryRun(await api.outside('/openapi.json'))) return null;
  let sent: unknown;
  try {
    sent = await api.post(`/batches?dry_run=true${pilot === null ? '' : `&pilot=${pilot}`}`, create);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
  const { data } = estimateObject.safeParse(sent);
  if (data === undefined) return null;
  const wrong = data.errors?.data ?? [];
  if (wrong.length > 0) throw new UserError(`the batch would fail: ${wrong.slice(0, 5).map(errorWords).join('; ')}`);
  return { sent, lines: linesOf(data) };
}

const errorWords = ({
  line,
  message,
}: {
  readonly line?: number | null | undefined;
  readonly message: string;
}): string => (line == null ? message : `line ${line}: ${message}`);

function knowsDryRun(openapi: unknown): boolean {
  const paths = isJsonObject(openapi) ? openapi['paths'] : undefined;
  const route = isJsonObject(paths) ? paths['/v1/batches'] : undefined;
  const post = isJsonObject(route) ? route['post'] : undefined;
  const parameters = isJsonObject(post) ? post['parameters'] : undefined;
  return Array.isArray(parameters) && parameters.some((one) => isJsonObject(one) && one['name'] === 'dry_run');
}

/** A note in the words of the terminal. */
const noteWords = (note: string): string =>
  note.replaceAll('`pilot=50` runs one', '`spillway estimate --pilot 50` runs one');

function linesOf(estimate: z.output<typeof estimateObject>): string[] {
  const { documents, cost_usd: cost, all_expert_usd: expert, escalated_share: share, seconds: time, pilot } = estimate;
  const money = ({ low, high }: { readonly low: number; readonly high: number }): string =>
    range(dollars(low), dollars(high));
  const parts = [
    counted(documents.total, 'document'),
    ...(cost == null ? [] : [`about ${money(cost)}`]),
    ...(expert == null ? [] : [`all by the expert ${money(expert)}`]),
    ...(share == null ? [] : [`${range(percent(share.low), percent(share.high))} escalated`]),
    ...(time == null ? [] : [range(seconds(time.low), seconds(time.high))]),
  ];
  const asked = pilot == null ? [] : [`a pilot of ${counted(pilot.documents, 'document')} was asked`];
  return [
    `estimate: ${parts.join(' · ')}`,
    ...[...asked, ...(estimate.notes ?? []).map(noteWords)].map((note) => `  ${note}`),
  ];
}
