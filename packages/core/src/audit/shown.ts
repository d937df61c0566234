import { stageCounts, type Counts } from '../accounting/counts.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { rateBounds } from '../promise/audit.ts';
import type { Audits } from './ledger.ts';
import { auditTermsOf } from './terms.ts';

const rounded = (share: number): number => Math.round(share * 1e4) / 1e4;

/**
 * The audits of a batch as the API shows them, one for each cascade that has one. What was chosen is counted with the
 * results, and what was done in records of its own: after a loss of Redis one may be known without the other.
 */
export function shownAudits(audits: Audits, counts: Counts, cascades: Readonly<Record<string, CascadeRules>>) {
  return Object.entries(cascades).flatMap(([cascade, { audit: rule, stages }]) => {
    if (rule === undefined) return [];
    const own = audits[cascade];
    const { audits: done = 0, disagreements: disagreed = 0, alarmAt = null } = own?.audit ?? {};
    const counted = stages.reduce((sum, _, stage) => sum + stageCounts(counts, cascade, stage).auditsChosen, 0);
    const chosen = Math.max(counted, done + (own?.unanswered ?? 0));
    const { low, high } = rateBounds({ audits: done, disagreements: disagreed }, auditTermsOf(rule).delta);
    return [
      {
        cascade,
        share: rule.share,
        at_most: rule.atMost,
        certainty: rule.certainty,
        on_alarm: rule.onAlarm,
        chosen,
        done,
        agreed: done - disagreed,
        disagreed,
        not_done: chosen - done,
        rate: done === 0 ? null : rounded(disagreed / done),
        bounds: { low: rounded(low), high: rounded(high) },
        alarm: own?.alarmAtMs == null ? null : { at: Math.floor(own.alarmAtMs / 1000), audits: alarmAt ?? done },
        input_tokens: own?.inputTokens ?? 0,
        output_tokens: own?.outputTokens ?? 0,
        usd: (own?.nanoUsd ?? 0) / 1e9,
      },
    ];
  });
}
