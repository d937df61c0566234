import { rateToCome, Z, type Expected } from '../progress/time-left.ts';

/** What a batch has for a tier to do, and who is there to do it. */
export type TierWork = {
  readonly documents: { readonly low: number; readonly likely: number | null; readonly high: number };
  /** What a document takes of one of its calls at a time. */
  readonly secondsEach: Expected;
  /** Documents by which that is known. */
  readonly answers: number;
  /** Calls that its workers make at a time. */
  readonly slots: number;
};

/** Seconds that some tiers take, as a range; `likely` is null where it is not known how many documents come to one. */
export type TimeExpected = { readonly low: number; readonly likely: number | null; readonly high: number };

/**
 * How long a batch takes that has its tiers to itself. As for one in work the tier that takes longest decides, and a rate
 * to come varies by what nobody can know; a document takes its time however many workers there are. At worst the tiers
 * work one after the other: what is escalated comes late, or one server answers for several of them.
 */
export function tiersTime(tiers: readonly TierWork[]): TimeExpected {
  const times = tiers.map(({ documents, secondsEach, answers, slots }) => {
    const { unknown, slower } = rateToCome(Math.max(1, answers), documents.high);
    const taking = (count: number, seconds: number, log: number): number =>
      Math.max(count > 0 ? seconds : 0, (count * seconds * Math.exp(log)) / slots);
    return {
      low: taking(documents.low, secondsEach.low, -Z * unknown),
      likely: documents.likely === null ? null : taking(documents.likely, secondsEach.likely, slower),
      high: taking(documents.high, secondsEach.high, slower + Z * unknown),
    };
  });
  const likely = times.map((one) => one.likely);
  return {
    low: Math.max(0, ...times.map(({ low }) => low)),
    likely: likely.some((one) => one === null) ? null : Math.max(0, ...likely.map((one) => one ?? 0)),
    high: times.reduce((sum, { high }) => sum + high, 0),
  };
}
