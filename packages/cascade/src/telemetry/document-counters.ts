import { DELAY_REASONS, ESCALATION_REASONS, tierLabels, tierName, type CascadeSpec } from '@spillway/core';
import type { Meters } from '@spillway/runtime';

/**
 * Shows the counters and the times of documents at 0 before there are any, so that the first one is an increase: those of
 * the cascades that documents end in with one of these tiers, and of all stages before, which are counted with the last.
 */
export function beginDocumentCounters(
  meters: Pick<Meters, 'begin' | 'beginTimes'>,
  cascades: Readonly<Record<string, CascadeSpec>>,
  serves: (tier: string) => boolean,
): void {
  for (const [cascade, { stages }] of Object.entries(cascades)) {
    const tiers = stages.map(({ model }, stage) => tierName(stage === stages.length - 1 ? 'expert' : 'drafter', model));
    const last = tiers.findLastIndex(serves);
    if (last === -1) continue;
    for (const [stage, tier] of tiers.slice(0, last + 1).entries()) {
      const spender = { cascade, ...tierLabels(tier) };
      meters.begin(
        'cascade.tokens',
        ['input', 'output'].map((direction) => ({ ...spender, direction })),
      );
      meters.begin('cascade.cost', [spender]);
      meters.beginTimes('cascade.queue.wait', [tierLabels(tier)]);
      meters.beginTimes(
        'cascade.delay',
        DELAY_REASONS.map((reason) => ({ ...tierLabels(tier), reason })),
      );
      if (serves(tier)) {
        const final = { cascade, final_stage: String(stage + 1) };
        meters.beginTimes('cascade.document.duration', [final]);
        meters.begin(
          'cascade.documents',
          ['completed', 'failed'].map((outcome) => ({ ...final, outcome })),
        );
      }
      if (stage === last) continue;
      meters.begin(
        'cascade.escalations',
        ESCALATION_REASONS.map(({ reason }) => ({ cascade, stage: String(stage + 1), reason })),
      );
    }
    meters.begin('cascade.wasted.cost', [{ cascade }]);
    if (last > 0) meters.beginTimes('cascade.sequential_wait', [{ cascade }]);
  }
}
