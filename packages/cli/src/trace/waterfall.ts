import type { CascadeAnnotation, ResultLine, StageAnnotation } from '@spillway/core';

/** A row of the waterfall: a wait or the calls of a stage, which follow one another. */
type Part = { readonly name: string; readonly ms: number; readonly isWait: boolean };

/** A row without a time: the stage was not asked, and why. */
type Unasked = { readonly name: string; readonly ms: null; readonly why: 'skipped' | 'kept' };

function partsOf({ model, role, outcome, attempts, kept, wait_ms: wait }: StageAnnotation): (Part | Unasked)[] {
  const call = `${role === 'expert' ? 'expert' : 'draft'} ${model}`;
  if (outcome === 'skipped') return [{ name: call, ms: null, why: 'skipped' }];
  if (kept === true) return [{ name: call, ms: null, why: 'kept' }];
  const parts = [
    { name: `queue.wait ${role}`, ms: wait.queue, isWait: true },
    ...Object.entries(wait.delays ?? {}).map(([reason, ms]) => ({ name: `${reason}.wait ${role}`, ms, isWait: true })),
    { name: attempts === 1 ? call : `${call} (${attempts} attempts)`, ms: wait.call, isWait: false },
    { name: 'hand-off', ms: wait.hand_off, isWait: true },
  ];
  return parts.flatMap(({ name, ms, isWait }) => (ms === null ? [] : [{ name, ms, isWait }]));
}

/** Milliseconds as people read them. */
function shownMs(value: number): string {
  if (value < 1_000) return `${Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1_000).toFixed(2)} s` : `${(value / 60_000).toFixed(1)} min`;
}

/** The waterfall of a document, as lines of text; `width` is that of the bars. */
export function waterfall(line: ResultLine, width = 48): string[] {
  const { cascade, response, error } = line;
  const outcome = error === null ? `status ${response?.status_code ?? 'unknown'}` : `${error.code}: ${error.message}`;
  if (cascade === undefined) {
    return [`${line.custom_id}: ${outcome}. Its line does not say more (annotate: false, or it was never finished).`];
  }
  const parts = cascade.stages.flatMap(partsOf);
  const sum = parts.reduce((all, part) => all + (part.ms ?? 0), 0);
  const total = Math.max(cascade.wait_ms.total ?? 0, sum, 1);
  const names = Math.max(...parts.map(({ name }) => name.length), 'document'.length);
  const column = (at: number): number => Math.round((at / total) * width);
  let atMs = 0;
  const rows = parts.map((part) => {
    const name = `  ${part.name.padEnd(names)}`;
    if (part.ms === null) return `${name}   ${part.why}`;
    const [from, to] = [column(atMs), column(atMs + part.ms)];
    atMs += part.ms;
    const bar = `${' '.repeat(from)}${(part.isWait ? '░' : '█').repeat(Math.max(1, to - from))}`;
    return `${name}  ${shownMs(part.ms).padStart(8)}  ${bar}`;
  });
  return [
    `${line.custom_id}: ${[...decisions(cascade), outcome].join(', ')}`,
    `  ${'document'.padEnd(names)}  ${shownMs(total).padStart(8)}  ${'─'.repeat(width)}`,
    ...rows,
    ...sequentialWait(cascade, total),
  ];
}

/** What was decided at each stage that judges; what the last stage answered is said by the line's outcome. */
function decisions({ stages, copy_of: first, kept_from: before }: CascadeAnnotation): string[] {
  const made = stages.flatMap((stage, index) => {
    const { model, role, outcome, reason, signal, confidence, accept_at: acceptAt } = stage;
    if (role === 'expert' && outcome !== 'accepted') return [];
    const judged = confidence === null ? '' : ` (${signal}: ${confidence.toFixed(3)}, accept_at ${acceptAt})`;
    if (outcome === 'accepted' && role === 'expert') return [`right as ${model} says${judged}`];
    if (outcome === 'accepted') return [`accepted from ${model}${judged}`];
    const why = `${reason ?? 'no reason given'}${judged}`;
    if (outcome === 'skipped') return [`${model} skipped, ${why}`];
    if (outcome === 'deadline_draft') return [`the draft of ${model} at the deadline, ${why}`];
    const next = stages.slice(index + 1).find((later) => later.outcome !== 'skipped');
    return [`escalated to ${next?.model ?? 'the expert'}, ${why}`];
  });
  if (before !== undefined) made.unshift(`known from ${before}`);
  return first === undefined
    ? made
    : [`a copy of ${first}${before === undefined ? ', which was asked about' : ''}`, ...made];
}

function sequentialWait({ stages, wait_ms: { sequential: wait } }: CascadeAnnotation, total: number): string[] {
  const model = stages.at(-1)?.model;
  if (wait === null || model === undefined) return [];
  const share = Math.round((wait / total) * 100);
  return [`  sequential wait: ${shownMs(wait)} until ${model} began, ${share} % of the document's time`];
}
