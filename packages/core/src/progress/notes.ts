import { stageCounts, unaskedIn, type Counts } from '../accounting/counts.ts';
import type { CascadeRules } from '../cascade/rules.ts';

/** What a stage, of all cascades of a batch together, has had until some moment. */
export type StageProgress = {
  /** Documents that came to it: enqueued ones for the first stage, those that were handed off to it for a later one. */
  readonly reached: number;
  /** Documents that it is done with: settled, or handed off. */
  readonly left: number;
};

/** How far a batch was at some moment. Such notes are taken now and then, and cost nothing per document. */
export type ProgressNote = {
  readonly atMs: number;
  readonly settled: number;
  readonly stages: readonly StageProgress[];
};

/** Notes that a batch keeps: they reach back over the latter six sevenths of its time. */
const MAX_NOTES = 48;
/** The next note is taken after such a part of the time that the notes span, so that their number is that of digits, not of hours. */
const SPAN_PARTS = 24;
const MIN_SPACING_MS = 1_000;

/** What a note is made of. */
export type NotedBatch = {
  /** Of the documents that are asked about, as all that stages reach. */
  readonly enqueued: number;
  readonly counts: Counts;
  readonly cascades: Readonly<Record<string, CascadeRules>>;
  /** By stage, from 0: documents in the queues of its tiers, whichever batches they are of. */
  readonly queued: readonly number[];
};

/** How many stages the longest of some cascades has. */
export const stagesIn = (cascades: Readonly<Record<string, CascadeRules>>): number =>
  Math.max(0, ...Object.values(cascades).map(({ stages }) => stages.length));

/**
 * How far a batch is now. Counters tell of settled documents only. Where the others are is told by the queues, which a
 * batch shares: its part of a stage's queues is taken to be that of its unsettled documents in all of its queues.
 */
export function noteOf({ counts, cascades, queued, ...batch }: NotedBatch, atMs: number): ProgressNote {
  const settled = counts.completed + counts.failed;
  const asked = settled - unaskedIn(counts);
  // After a loss of Redis' memory what stands in storage is passed over one page after the other.
  const enqueued = Math.max(batch.enqueued, asked);
  const unsettled = enqueued - asked;
  const inQueues = queued.reduce((sum, one) => sum + one, 0);
  const here = queued.map((one) => (inQueues > 0 ? (unsettled * one) / inQueues : 0));
  // What is between two queues just now counts for the first one.
  if (inQueues === 0) here[0] = unsettled;
  const stages = Array.from({ length: stagesIn(cascades) }, (_, stage): StageProgress => {
    const before = stage === 0 ? enqueued : passedOn(counts, cascades, stage - 1);
    const later = stage === 0 ? 0 : here.slice(stage).reduce((sum, one) => sum + one, 0);
    const reached = Math.round(before + later);
    return { reached, left: Math.max(0, Math.round(reached - (here[stage] ?? 0))) };
  });
  return { atMs, settled, stages };
}

/** How many documents of a batch are asked about: not its copies, but for those that are, as their firsts failed. */
export const askedTotal = (
  { total, copies = 0 }: { readonly total: number; readonly copies?: number },
  notes: readonly ProgressNote[],
): number => Math.max(total - copies, Math.min(total, notes.at(-1)?.stages[0]?.reached ?? 0));

/** Settled documents that a stage, from 0, passed on. */
const passedOn = (counts: Counts, cascades: NotedBatch['cascades'], stage: number): number =>
  Object.keys(cascades).reduce((sum, name) => {
    const { escalated, skipped, kept } = stageCounts(counts, name, stage);
    return sum + escalated + skipped + kept;
  }, 0);

/** When another note is to be taken; 0: at once. */
export function nextNoteAtMs(notes: readonly ProgressNote[]): number {
  const [first, last] = [notes[0], notes.at(-1)];
  if (first === undefined || last === undefined) return 0;
  return last.atMs + Math.max(MIN_SPACING_MS, (last.atMs - first.atMs) / SPAN_PARTS);
}

/** Notes with one more. Those of before a loss, which say more than is known to be done, are of no use any more. */
export function addNote(notes: readonly ProgressNote[], note: ProgressNote): readonly ProgressNote[] {
  const before = notes.at(-1);
  const isLost = before !== undefined && (note.settled < before.settled || note.atMs < before.atMs);
  return [...(isLost ? [] : notes), note].slice(-MAX_NOTES);
}

/** Notes as they are kept: one a line, the figures of its stages behind the others. They are read with every batch. */
export const writeNotes = (notes: readonly ProgressNote[]): string =>
  notes
    .map(({ atMs, settled, stages }) =>
      [atMs, settled, ...stages.flatMap(({ reached, left }) => [reached, left])].join(' '),
    )
    .join('\n');

/** Kept notes; none where there are none, or where another version wrote them otherwise. */
export function readNotes(text: string | undefined): readonly ProgressNote[] {
  if (text === undefined || text === '') return [];
  const lines = text.split('\n').map((line) => line.split(' ').map(Number));
  const isRead = lines.every((line) => line.length % 2 === 0 && line.every(Number.isFinite));
  return isRead ? lines.map(noteIn) : [];
}

function noteIn([atMs = 0, settled = 0, ...figures]: readonly number[]): ProgressNote {
  const stages: StageProgress[] = [];
  for (let at = 0; at < figures.length; at += 2) {
    stages.push({ reached: figures[at] ?? 0, left: figures[at + 1] ?? 0 });
  }
  return { atMs, settled, stages };
}
