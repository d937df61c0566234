import { z } from 'zod';

/** What an alarm of an audit does: it is told, or the batch's unsettled documents go to the expert as well. */
const ON_ALARM = ['report', 'tighten'] as const;

/** An audit as a batch's manifest has it. */
export const auditRule = z.object({
  share: z.number(),
  onAlarm: z.enum(ON_ALARM),
  atMost: z.number(),
  certainty: z.number(),
});

/** Accepted drafts that are also asked of the expert, and when that alarms. */
export type AuditRule = Readonly<z.output<typeof auditRule>>;

const SHARE =
  'expected a number above 0 and at most 1: the share of the accepted drafts that the expert is asked about';
const AT_MOST = 'expected a number from 0 to below 1: the share of the accepted drafts that may disagree';
const CERTAINTY = 'expected a number between 0 and 1: the probability that no alarm is a false one';

/** An audit as the configuration says it. */
export const auditSpec = z
  .strictObject({
    share: z.number(SHARE).gt(0, SHARE).max(1, SHARE).default(0.01),
    on_alarm: z.enum(ON_ALARM, `expected one of ${ON_ALARM.join(', ')}`).default('report'),
    at_most: z.number(AT_MOST).min(0, AT_MOST).lt(1, AT_MOST).default(0.05),
    certainty: z.number(CERTAINTY).gt(0, CERTAINTY).lt(1, CERTAINTY).default(0.95),
  })
  .transform(({ share, on_alarm: onAlarm, at_most: atMost, certainty }): AuditRule => ({
    share,
    onAlarm,
    atMost,
    certainty,
  }));
