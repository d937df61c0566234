import { z } from 'zod';

const range = z.object({ low: z.number(), high: z.number() }).nullable();

const progress = z.object({
  elapsed_seconds: z.number().nullable(),
  documents_per_second: z.number().nullable(),
  left_seconds: range,
  at_risk: z.boolean().nullable(),
  spent_usd: z.number().nullable(),
  projected_usd: range,
});

const waiting = z.array(
  z.object({ tier: z.string().nullable(), state: z.string(), since: z.number().nullable(), reason: z.string() }),
);

const warnings = z.array(z.object({ message: z.string() }));

const stage = z.object({
  cascade: z.string(),
  stage: z.number(),
  model: z.string(),
  role: z.enum(['drafter', 'expert']),
  documents: z.object({
    accepted: z.number(),
    escalated: z.number(),
    skipped: z.number(),
    answered: z.number(),
    failed: z.number(),
  }),
  reasons: z.array(z.object({ reason: z.string(), count: z.number() })),
  usd: z.number(),
});

const thresholds = z
  .array(
    z.object({
      cascade: z.string(),
      promise: z
        .object({
          agreement: z.number().optional(),
          accuracy: z.number().optional(),
          certainty: z.number(),
          otherwise: z.string(),
        })
        .nullable(),
      budget: z.object({ expert_share: z.number() }).nullable(),
      outcome: z.string(),
      reason: z.string().nullable(),
      sampled: z.number(),
      expert_share: z.number().nullable(),
      stages: z.array(
        z.object({
          model: z.string(),
          accept_at: z.number().nullable(),
          allowed: z.number().nullable(),
          disagreements: z.number().nullable(),
        }),
      ),
    }),
  )
  .default([]);

const audits = z
  .array(
    z.object({
      cascade: z.string(),
      at_most: z.number(),
      chosen: z.number(),
      done: z.number(),
      disagreed: z.number(),
      bounds: z.object({ low: z.number(), high: z.number() }),
      alarm: z.object({ audits: z.number() }).nullable(),
    }),
  )
  .default([]);

const failures = z.array(
  z.object({
    status: z.number().nullable(),
    code: z.string().nullable(),
    count: z.number(),
    said: z.string().nullable(),
  }),
);

const way = z.object({ usd: z.number() });

/** What is read of a report; a newer server may say more. */
export const reportObject = z.object({
  id: z.string(),
  status: z.string(),
  model: z.string().nullable(),
  warnings,
  progress,
  waiting,
  thresholds,
  audits,
  documents: z.object({
    total: z.number(),
    completed: z.number(),
    failed: z.number(),
    accepted: z.number(),
    escalated: z.number(),
    copied: z.number(),
    kept: z.number().default(0),
    unfinished: z.number(),
  }),
  escalated_share: z.number().nullable(),
  stages: z.array(stage),
  failures,
  latency_ms: z.object({
    accepted: z.object({ p50: z.number().nullable(), p95: z.number().nullable() }),
    escalated: z.object({ p50: z.number().nullable(), p95: z.number().nullable() }),
  }),
  counterfactuals: z.object({ cascade: way, all_expert: way, all_drafter: way }),
});

export type BatchReport = z.output<typeof reportObject>;

/** What is read of a batch. */
export const batchObject = z.object({
  id: z.string(),
  status: z.string(),
  model: z.string().nullish(),
  created_at: z.number(),
  request_counts: z.object({ total: z.number(), completed: z.number(), failed: z.number() }),
  errors: z.object({ data: z.array(z.object({ message: z.string(), line: z.number().nullish() })) }).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  spillway: z.object({ progress, waiting, thresholds, audits }),
});

export type BatchObject = z.output<typeof batchObject>;

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled']);

export const isEnded = ({ status }: { readonly status: string }): boolean => ENDED.has(status);
