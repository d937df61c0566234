import {
  awaitsCalibration,
  rulesInForce,
  stageTier,
  type BadLines,
  type CalibrationRecord,
  type CascadeRules,
  type Copies,
  type Draws,
  type Manifest,
  type PagePlan,
  type Validated,
} from '@spillway/core';

/** A validated batch: what was asked, and where its documents lie. */
export type BatchPlan = {
  readonly manifest: Manifest;
  readonly total: number;
  /** The cascade that all documents name; null when they name several. */
  readonly model: string | null;
  readonly validatedAtMs: number;
  readonly pages: readonly PagePlan[];
  /** The rules of the cascades that its documents name, with the thresholds that were found for them. */
  readonly cascades: Readonly<Record<string, CascadeRules>>;
  /** Every tier that its documents can pass. */
  readonly tiers: readonly string[];
  /** Those of first stages. One cascade may begin with a tier that another escalates to. */
  readonly firstTiers: readonly string[];
  /** Those of all later stages. */
  readonly laterTiers: readonly string[];
  /** Those of later stages as one name: batches of one way wait for the same tiers. */
  readonly way: string;
  /** The lines that go to the error file; null: there are none. */
  readonly badLines: BadLines | null;
  /** The documents that are answered from an equal one; null: there are none. */
  readonly copies: Copies | null;
  /** The documents by which its thresholds are found; null: all are fixed. */
  readonly draws: Draws | null;
  /** Its thresholds are still to be found: nothing of it is enqueued before. */
  readonly awaitsCalibration: boolean;
};

/** The plan of a batch as its records say it; `calibration` is null where no thresholds were found (yet). */
export function planOf(
  manifest: Manifest,
  validated: Validated,
  calibration: Pick<CalibrationRecord, 'cascades'> | null,
): BatchPlan {
  const named = validated.cascades.flatMap((name) => {
    const rules = manifest.cascades[name];
    return rules === undefined ? [] : [[name, rules] as const];
  });
  const firstTiers = new Set<string>();
  const laterTiers = new Set<string>();
  const cascades = rulesInForce(Object.fromEntries(named), calibration?.cascades ?? {});
  for (const rules of Object.values(cascades)) {
    const last = rules.stages.length - 1;
    // Where no draft may be final, documents begin at the last stage.
    if (rules.expertOnly === true) firstTiers.add(stageTier(rules, last));
    else for (const stage of rules.stages.keys()) (stage === 0 ? firstTiers : laterTiers).add(stageTier(rules, stage));
  }
  return {
    manifest,
    total: validated.total,
    model: validated.cascades.length === 1 ? (validated.cascades[0] ?? null) : null,
    validatedAtMs: validated.validatedAtMs,
    pages: validated.pages,
    cascades,
    tiers: [...firstTiers.union(laterTiers)],
    firstTiers: [...firstTiers],
    laterTiers: [...laterTiers],
    way: [...laterTiers].toSorted().join(' '),
    badLines: validated.badLines ?? null,
    copies: validated.copies ?? null,
    draws: validated.draws ?? null,
    awaitsCalibration: awaitsCalibration(cascades),
  };
}
