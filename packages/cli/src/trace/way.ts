import { z } from 'zod';

const tier = z
  .object({ model: z.string(), duration_ms: z.number().nullable(), tries: z.number().default(1) })
  .nullable();
const ms = z.number().nullable();

/** What a result line tells of its document's way. */
export const tracedLine = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  cascade: z
    .object({
      name: z.string(),
      tier: z.string(),
      confidence: z.number().nullable(),
      threshold: z.number(),
      signal: z.string(),
      escalated: z.boolean(),
      reason: z.string().nullable(),
      drafter: tier,
      expert: tier,
      wait_ms: z.object({ drafter_queue: ms, hand_over: ms, expert_queue: ms, sequential: ms, total: ms }),
    })
    .optional(),
});

export type TracedLine = z.output<typeof tracedLine>;
type Cascade = NonNullable<TracedLine['cascade']>;

/** One part of a document's way, one after the other. Milliseconds. */
type Part = { readonly name: string; readonly ms: number; readonly isWait: boolean };

function partsOf({ drafter, expert, wait_ms: wait }: Cascade): Part[] {
  const tries = (count: number): string => (count === 1 ? '' : ` (${count} tries)`);
  return [
    { name: 'queue.wait drafter', ms: wait.drafter_queue, isWait: true },
    { name: `draft ${drafter?.model ?? ''}${tries(drafter?.tries ?? 1)}`, ms: drafter?.duration_ms, isWait: false },
    { name: 'hand-over', ms: wait.hand_over, isWait: true },
    { name: 'queue.wait expert', ms: wait.expert_queue, isWait: true },
    { name: `expert ${expert?.model ?? ''}${tries(expert?.tries ?? 1)}`, ms: expert?.duration_ms, isWait: false },
  ].flatMap(({ name, ms: length, isWait }) => (length == null ? [] : [{ name, ms: length, isWait }]));
}

/** Milliseconds as people read them. */
function shownMs(value: number): string {
  if (value < 1_000) return `${Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1_000).toFixed(2)} s` : `${(value / 60_000).toFixed(1)} min`;
}

/** The waterfall of a document, as lines of text; `width` is that of the bars. */
export function waterfall(line: TracedLine, width = 48): string[] {
  const { cascade, response, error } = line;
  const outcome = error === null ? `status ${response?.status_code ?? 'unknown'}` : `${error.code}: ${error.message}`;
  if (cascade === undefined) {
    return [`${line.custom_id}: ${outcome}. Its line does not say more (annotate: false, or it was never finished).`];
  }
  const parts = partsOf(cascade);
  const sum = parts.reduce((all, part) => all + part.ms, 0);
  const total = Math.max(cascade.wait_ms.total ?? 0, sum, 1);
  const names = Math.max(...parts.map(({ name }) => name.length), 'document'.length);
  const column = (at: number): number => Math.round((at / total) * width);
  let atMs = 0;
  const bars = parts.map(({ name, ms: length, isWait }) => {
    const [from, to] = [column(atMs), column(atMs + length)];
    atMs += length;
    const bar = `${' '.repeat(from)}${(isWait ? '░' : '█').repeat(Math.max(1, to - from))}`;
    return `  ${name.padEnd(names)}  ${shownMs(length).padStart(8)}  ${bar}`;
  });
  return [
    `${line.custom_id}: ${decision(cascade)}, ${outcome}`,
    `  ${'document'.padEnd(names)}  ${shownMs(total).padStart(8)}  ${'─'.repeat(width)}`,
    ...bars,
    ...sequential(cascade, total),
  ];
}

function decision({ confidence, threshold, signal, escalated, reason, drafter, expert }: Cascade): string {
  const judged = confidence === null ? '' : ` (${signal}: ${confidence.toFixed(3)}, threshold ${threshold})`;
  if (escalated) return `escalated to ${expert?.model ?? 'the expert'}, ${reason ?? 'no reason given'}${judged}`;
  return `accepted from ${drafter?.model ?? 'the drafter'}${judged}`;
}

function sequential({ wait_ms: { sequential: wait } }: Cascade, total: number): string[] {
  if (wait === null) return [];
  return [
    `  sequential wait: ${shownMs(wait)} before the expert began, ${Math.round((wait / total) * 100)} % of its time`,
  ];
}
