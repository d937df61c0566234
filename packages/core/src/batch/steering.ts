import type { ControlRecord } from './records.ts';

/** What somebody wants of a batch in work, by the number of the control that says so; the latest one counts. */
export type Steering = { readonly control: number; readonly paused: boolean; readonly goesFirst: boolean };

/** What a control says, as Redis heeds it. */
export const steeringOf = (control: number, { paused, priority }: ControlRecord): Steering => ({
  control,
  paused,
  goesFirst: priority === 'high',
});
