import { promisedAudit } from '../audit/terms.ts';
import type { CascadeRules, StageRules } from '../cascade/rules.ts';
import { withThresholds } from '../cascade/thresholds.ts';
import type { Aim } from '../promise/index.ts';
import type { CascadeCalibration, CascadeCalibrations } from './calibration-record.ts';

/** What a certified promise adds to the rules; an audit says nothing of labels, and so watches over no promise by them. */
function certifiedRules(
  { audit }: CascadeRules,
  aim: Aim,
  share: number | null,
): Pick<CascadeRules, 'certificate' | 'audit'> {
  if (aim.kind === 'budget') return {};
  const { certainty } = aim;
  if (aim.kind === 'accuracy') return { certificate: { accuracy: aim.accuracy, certainty } };
  const certificate = { agreement: aim.agreement, certainty };
  return { certificate, ...(audit === undefined ? {} : { audit: promisedAudit(audit, certificate, share) }) };
}

/** The rules with the thresholds that were found; those of a cascade whose thresholds are fixed are as they were. */
export function rulesInForce(
  rules: Readonly<Record<string, CascadeRules>>,
  found: CascadeCalibrations,
): Record<string, CascadeRules> {
  return Object.fromEntries(
    Object.entries(rules).map(([name, own]) => {
      const calibration = Object.hasOwn(found, name) ? found[name] : undefined;
      return [name, calibration === undefined ? own : calibratedRules(own, calibration)];
    }),
  );
}

function calibratedRules({ aim, ...own }: CascadeRules, found: CascadeCalibration): CascadeRules {
  if (aim === undefined) return own;
  const { stages, outcome, expertOnly } = found;
  const decided = withThresholds(
    own,
    stages.map(({ acceptAt, configured }) => (configured === true ? null : acceptAt)),
  );
  return {
    ...decided,
    ...(expertOnly === true ? { expertOnly } : {}),
    ...(outcome === 'certified' ? certifiedRules(own, aim, found.expertShare) : {}),
  };
}

/** What decides of a cascade, but for its thresholds and what they are found for. */
const decisive = ({ stages, agreement }: CascadeRules): string =>
  JSON.stringify([
    agreement,
    stages.map(({ model, ask, tolerance, judge, verdict }) => [
      model,
      ask,
      tolerance,
      judge?.confidence,
      judge?.formats,
      verdict?.confidence,
    ]),
  ]);

/**
 * The rules of a batch whose documents are of another one, `before` being the rules in force there: what was found and
 * promised for them holds, where their cascade still is what was sampled. Else thresholds are found anew.
 */
export function takenOver(
  rules: Readonly<Record<string, CascadeRules>>,
  before: Readonly<Record<string, CascadeRules>>,
): Record<string, CascadeRules> {
  return Object.fromEntries(
    Object.entries(rules).map(([name, own]) => {
      const old = Object.hasOwn(before, name) ? before[name] : undefined;
      if (own.aim === undefined || old === undefined || old.aim !== undefined || decisive(own) !== decisive(old)) {
        return [name, own];
      }
      const { aim: _, ...fixed } = own;
      const { expertOnly, certificate, audit } = old;
      return [
        name,
        {
          ...fixed,
          stages: old.stages.map((stage, at) => ({ ...own.stages[at], ...judgedAs(stage) }) as StageRules),
          ...(expertOnly === undefined ? {} : { expertOnly }),
          ...(certificate === undefined ? {} : { certificate }),
          ...(own.audit === undefined || audit === undefined ? {} : { audit }),
        },
      ];
    }),
  );
}

const judgedAs = ({ judge, verdict }: StageRules): Pick<StageRules, 'judge' | 'verdict'> => ({
  judge,
  ...(verdict === undefined ? {} : { verdict }),
});

/** Whether thresholds are still to be found. */
export const awaitsCalibration = (rules: Readonly<Record<string, CascadeRules>>): boolean =>
  Object.values(rules).some(({ aim }) => aim !== undefined);
