import type { Price } from './account.ts';
import type { CalibrationArtefact } from './calibration/index.ts';
import type { ConfidenceRule } from './confidence/index.ts';
import type { Configuration, ModelSpec, OnDeadline } from './configuration.ts';
import type { DrafterLimits } from './fitness.ts';

/** What decides about the documents of one cascade, frozen into the manifest when the batch is made. */
export type CascadeRules = {
  readonly drafter: string;
  readonly expert: string;
  /** How a draft is judged. */
  readonly confidence: ConfidenceRule;
  readonly acceptAt: number;
  readonly limits: DrafterLimits;
  /** Every document goes through both tiers, whatever its confidence. */
  readonly both: boolean;
  readonly onDeadline: OnDeadline;
  /** Whether result lines say in `cascade` what was decided; off for strict readers. */
  readonly annotate: boolean;
  readonly draftPrice: Price | null;
  readonly expertPrice: Price | null;
};

export type Role = 'draft' | 'expert';

/** The queue of a tier; a model's name holds no colon, so the queue's does not either. */
export const tierQueue = (role: Role, model: string): string => `${role}.${model}`;

/** A snapshot of every cascade's rules, with the calibrations that its cascades have. */
export function snapshotRules(
  configuration: Configuration,
  calibrations: ReadonlyMap<string, CalibrationArtefact>,
  both: boolean,
): Record<string, CascadeRules> {
  return Object.fromEntries(
    Object.entries(configuration.cascades).map(([name, spec]) => [
      name,
      {
        drafter: spec.drafter,
        expert: spec.expert,
        confidence: {
          signal: spec.confidence.signal,
          calibration: calibrations.get(name)?.calibration ?? null,
        },
        acceptAt: spec.accept_at,
        both,
        limits: limitsOf(configuration.models[spec.drafter]),
        onDeadline: spec.on_deadline,
        annotate: spec.annotate,
        draftPrice: configuration.models[spec.drafter]?.price ?? null,
        expertPrice: configuration.models[spec.expert]?.price ?? null,
      },
    ]),
  );
}

const limitsOf = (drafter: ModelSpec | undefined): DrafterLimits => ({
  contextTokens: drafter?.context_tokens ?? null,
  images: drafter?.images ?? true,
  tools: drafter?.tools ?? true,
});

/** The queues that the documents of these cascades can pass. */
export function tiersOf(rules: Iterable<CascadeRules>): string[] {
  const names = new Set<string>();
  for (const rule of rules) {
    names.add(tierQueue('draft', rule.drafter));
    names.add(tierQueue('expert', rule.expert));
  }
  return [...names];
}
