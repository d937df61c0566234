import { LIMITS, retryIdOf, type Validated } from '@spillway/core';
import type { Records } from '@spillway/storage';

/** A batch, and the retry of what failed in it. */
export type Link = {
  readonly id: string;
  /** Null while the batch is not validated, or when it ended without being so. */
  readonly validated: Validated | null;
  readonly hasEnded: boolean;
  readonly retry: Retry | null;
};

/** The batch that holds what failed in another one. */
type Retry = {
  readonly link: Link;
  /** How many of its documents come before those of each page of the other. */
  readonly before: readonly number[];
};

/** A batch by itself. */
export async function linkOf(records: Records, id: string): Promise<Link> {
  // Read first: a final record that stands then has all pages before it.
  const final = await records.final(id);
  // The version before could end a batch without documents, cancelled in the moment in which it was validated.
  const validated = final?.pages.length === 0 ? null : await records.validated(id);
  return { id, validated, hasEnded: final !== null, retry: null };
}

/** A batch with its retry, that one's retry and so on. The ids are derived, so nobody keeps a list of them. */
export async function chainOf(records: Records, tenant: string, id: string): Promise<Link> {
  const links = [await linkOf(records, id)];
  const taken: (readonly number[])[] = [];
  for (let next = retryIdOf(tenant, id); links.length <= LIMITS.retryDepth; next = retryIdOf(tenant, next)) {
    const manifest = await records.manifest(next);
    if (manifest?.retry === undefined) break;
    // A retry that came to nothing has no lines: the one after it took the same documents.
    if (links.length > 1 && links.at(-1)?.validated === null) {
      links.pop();
      taken.pop();
    }
    taken.push(manifest.retry.taken);
    links.push(await linkOf(records, next));
  }
  return links.reduceRight((link, own, at) => ({ ...own, retry: { link, before: sumsBefore(taken[at] ?? []) } }));
}

/** What the numbers before each one come to. */
function sumsBefore(numbers: readonly number[]): number[] {
  let sum = 0;
  return numbers.map((number) => (sum += number) - number);
}

/** Whether nothing of a batch and its retries changes any more. */
export const isWhole = ({ hasEnded, retry }: Link): boolean => hasEnded && (retry === null || isWhole(retry.link));
