import { z } from 'zod';
import { answerText, type SignalSpec } from '@spillway/core';
import { UserError, type ApiClient } from '../client.ts';

const tier = z.object({ model: z.string(), input_tokens: z.number(), output_tokens: z.number() }).nullable();

/** What a calibration reads of a result line. */
const line = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number(), body: z.unknown() }).nullable(),
  cascade: z
    .object({
      name: z.string(),
      signal: z.string(),
      score: z.number().nullable(),
      escalated: z.boolean(),
      drafter: tier,
      expert: tier,
      draft: z
        .object({
          text: z.string().nullable(),
          evidence: z
            .object({ scores: z.record(z.string(), z.number().nullable()), features: z.array(z.number()).nullable() })
            .optional(),
        })
        .optional(),
    })
    .optional(),
});

type Cascade = NonNullable<z.output<typeof line>['cascade']>;
type Tokens = { readonly input: number; readonly output: number };

/** A document of a finished batch, as far as a calibration needs it. */
export type DraftedDocument = {
  readonly customId: string;
  readonly cascade: string;
  /** What the drafter said; null: nothing that can be compared. */
  readonly draft: string | null;
  /** What the expert said; null: it was not asked, or failed. */
  readonly expert: string | null;
  /** By the cascade's own signal. */
  readonly score: number | null;
  /** By the JSON of each signal that the batch tells of; null: the batch did not run both tiers. */
  readonly scores: Readonly<Record<string, number | null>> | null;
  readonly features: readonly number[] | null;
  readonly draftTokens: Tokens;
  /** Null: the expert was not asked. */
  readonly expertTokens: Tokens | null;
};

const page = z.object({ data: z.array(z.unknown()), cursor: z.string(), has_more: z.boolean(), complete: z.boolean() });

const LINES_AT_A_TIME = 5_000;

/** The documents of an ended batch whose lines say how they were decided; how many lines do not. */
export async function readDrafts(
  api: ApiClient,
  batch: string,
): Promise<{ drafts: DraftedDocument[]; silent: number }> {
  const drafts: DraftedDocument[] = [];
  let silent = 0;
  for (let after = ''; ;) {
    const path = `/batches/${encodeURIComponent(batch)}/results?limit=${LINES_AT_A_TIME}`;
    const read = page.parse(await api.get(`${path}${after === '' ? '' : `&after=${after}`}`));
    for (const one of read.data) {
      const found = line.parse(one);
      if (found.cascade === undefined) silent += 1;
      else drafts.push(documentOf(found.custom_id, found.cascade, found.response));
    }
    if (!read.has_more) {
      if (read.complete) return { drafts, silent };
      throw new UserError(`${batch} has not ended: calibrate when it has`);
    }
    after = read.cursor;
  }
}

function documentOf(customId: string, cascade: Cascade, response: z.output<typeof line>['response']): DraftedDocument {
  const answer = response !== null && response.status_code < 300 ? answerText(response.body) : null;
  const { escalated, draft, drafter, expert } = cascade;
  const tokens = (of: z.output<typeof tier>): Tokens => ({
    input: of?.input_tokens ?? 0,
    output: of?.output_tokens ?? 0,
  });
  return {
    customId,
    cascade: cascade.name,
    draft: escalated ? (draft?.text ?? null) : answer,
    expert: escalated ? answer : null,
    score: cascade.score,
    scores: draft?.evidence?.scores ?? null,
    features: draft?.evidence?.features ?? null,
    draftTokens: tokens(drafter),
    expertTokens: escalated ? tokens(expert) : null,
  };
}

/** The score of a document by a signal; null: no evidence. `undefined`: its batch does not tell. */
export function scoreBy(document: DraftedDocument, signal: SignalSpec, own: SignalSpec): number | null | undefined {
  const key = JSON.stringify(signal);
  if (document.scores !== null && key in document.scores) return document.scores[key] ?? null;
  return key === JSON.stringify(own) ? document.score : undefined;
}
