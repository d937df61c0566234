/** A batch at one moment. */
export type Snapshot = {
  readonly atMs: number;
  readonly status: string;
  readonly total: number;
  readonly done: number;
  /** Of the done ones; null while nobody knows. */
  readonly split: { readonly accepted: number; readonly escalated: number } | null;
};

/** Long enough that a page's burst does not show, short enough to follow a change. */
const WINDOW_MS = 5_000;

/**
 * Documents per second over the last seconds; null until there are two moments to compare.
 * @internal exported for its test
 */
export function rateOf(history: readonly Snapshot[]): number | null {
  const last = history.at(-1);
  const first = history.find((snapshot) => last !== undefined && snapshot.atMs >= last.atMs - WINDOW_MS);
  if (last === undefined || first === undefined || last.atMs === first.atMs) return null;
  return ((last.done - first.done) * 1000) / (last.atMs - first.atMs);
}

/** Drops the moments that no rate needs any more. */
export function recent(history: readonly Snapshot[], next: Snapshot): Snapshot[] {
  return [...history.filter((snapshot) => snapshot.atMs >= next.atMs - WINDOW_MS), next];
}

/** The moment as one line of text, without the bar. */
export function describeProgress(history: readonly Snapshot[]): string {
  const now = history.at(-1);
  if (now === undefined) return '';
  if (now.status === 'validating') return 'validating the file';
  const rate = rateOf(history);
  const parts = [`${now.done.toLocaleString('en-US')} of ${now.total.toLocaleString('en-US')} documents`];
  if (now.split !== null && now.done > 0) {
    const share = Math.round((100 * now.split.accepted) / Math.max(1, now.split.accepted + now.split.escalated));
    parts.push(`${now.split.accepted} accepted, ${now.split.escalated} escalated (${share} % accepted)`);
  }
  if (now.status !== 'in_progress') parts.push(now.status);
  else if (rate !== null && rate > 0) {
    parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)}/s`, `${Math.ceil((now.total - now.done) / rate)} s left`);
  }
  return parts.join(' · ');
}

const BAR_CELLS = 20;

/** How much of a batch is done, as a bar. */
export function bar(done: number, total: number): string {
  const filled = total === 0 ? 0 : Math.floor((BAR_CELLS * done) / total);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}]`;
}
