import type { BatchObject } from '@spillway/core';
import type { OpenAI } from 'openai';
import { strictParse } from '../support/strict.ts';
import type { ResultLine } from '../support/system.ts';
import type { FailedCall, Seen } from './customer.ts';
import { answerOf, DOCUMENT_KINDS, MODELS, type ModelName } from './documents.ts';
import { MAX_STOP_MS, type Ending } from './process-slot.ts';

/** How often each model was asked for a document, by the servers' own record. */
export type Calls = Readonly<Record<ModelName, ReadonlyMap<string, number>>>;

/** What must hold of a schedule, beside what its faults allow. */
export type Terms = {
  readonly calls: Calls;
  /** Whether a model server was at fault: then a call may have been charged to the document that it was for. */
  readonly mayCharge: boolean;
};

/** More than any process needs: several answers of 32 MiB at a time. */
export const MAX_PROCESS_BYTES = 512 * 1024 * 1024;

const UNFINISHED: ReadonlySet<string | undefined> = new Set(['batch_cancelled', 'batch_expired']);

/** All that is wrong with one batch, from outside: its object, its files, what was seen before the end. */
export function violationsOf(seen: Seen, terms: Terms): string[] {
  const said = (texts: readonly string[]): string[] => texts.map((text) => `${seen.id}: ${text}`);
  const end = seen.ends[0];
  if (end === undefined) return said(['stands still: it did not end', ...seen.complaints]);
  let output: ResultLine[];
  let errors: ResultLine[];
  try {
    output = seen.output.map(strictParse) as ResultLine[];
    errors = seen.errors.map(strictParse) as ResultLine[];
  } catch (error) {
    return said([`a line that no strict reader takes: ${String(error)}`, ...seen.complaints]);
  }
  return said([
    ...seen.complaints,
    ...wrongStatus(seen),
    ...wrongThresholds(seen, output),
    ...wrongEnds(seen),
    ...wrongLines(seen, output, errors),
    ...wrongCounts(seen, output, errors),
    ...changedLines(seen),
    ...output.flatMap((line) => wrongAnswer(seen, line, terms)),
    ...errors.flatMap((line) => wrongError(seen, line)),
  ]);
}

function wrongStatus({ ends, isCancelAsked }: Seen): string[] {
  const status = ends[0]?.status ?? '';
  if (status === 'completed' || (isCancelAsked && status === 'cancelled')) return [];
  return [`ended as ${status}: ${JSON.stringify(ends[0]?.errors)}`];
}

/** A batch that finds its thresholds has found them, once, and each line says the same of them. */
function wrongThresholds({ ends, wish, isRetry, isRedecided, sent }: Seen, output: readonly ResultLine[]): string[] {
  const found: string[] = [];
  const certificates = new Set(output.map(({ cascade }) => JSON.stringify(cascade?.certificate ?? null)));
  if (certificates.size > 1) found.push(`lines have ${certificates.size} certificates: ${[...certificates].join(' ')}`);
  const at = output.flatMap(({ cascade }) => cascade?.stages[0]?.accept_at ?? []);
  if (new Set(at).size > 1) found.push(`lines were decided by the thresholds ${[...new Set(at)].join(', ')}`);
  if ((wish !== 'promise' && wish !== 'budget') || isRetry || isRedecided) return found;
  const end = ends[0] as (OpenAI.Batch & Partial<BatchObject>) | undefined;
  if (end?.status !== 'completed') return found;
  const [shown] = end.spillway?.thresholds ?? [];
  const outcomes = wish === 'budget' ? ['budgeted'] : ['certified', 'not_certified'];
  if (shown === undefined || !outcomes.includes(shown.outcome)) found.push(`a ${wish} came to ${shown?.outcome}`);
  if (shown !== undefined && shown.documents !== sent.length)
    found.push(`a ${wish} is of ${shown.documents} documents`);
  const isCertified = shown?.outcome === 'certified';
  if (output.length > 0 && isCertified === certificates.has('null')) found.push('certificates are in the wrong lines');
  return found;
}

function wrongEnds({ ends }: Seen): string[] {
  const texts = new Set(ends.map((end) => JSON.stringify(end)));
  return texts.size === 1 ? [] : [`shown in ${texts.size} ways after its end: ${[...texts].join(' ')}`];
}

/** Each document exactly once in one of the two files, in the order of the input. */
function wrongLines({ sent, ends }: Seen, output: readonly ResultLine[], errors: readonly ResultLine[]): string[] {
  const total = ends[0]?.request_counts?.total ?? 0;
  const found: string[] = [];
  const places = new Map(sent.map(({ name }, place) => [name, place]));
  for (const [file, lines] of Object.entries({ output, errors })) {
    const order = lines.map(({ custom_id: id }) => places.get(id) ?? -1);
    if (order.includes(-1)) found.push(`the ${file} file has lines of nobody`);
    if (order.some((place, at) => at > 0 && place <= (order[at - 1] ?? -1))) found.push(`${file} not in input order`);
  }
  const names = [...output, ...errors].map(({ custom_id: id }) => id);
  const twice = names.filter((name, at) => names.indexOf(name) !== at);
  if (twice.length > 0) found.push(`${twice.length} documents have two lines: ${twice.slice(0, 5).join(' ')}`);
  // A batch that was cancelled before it was validated has no documents.
  if (total === 0 && ends[0]?.status === 'cancelled' && names.length === 0) return found;
  const missing = sent.filter(({ name }) => !names.includes(name));
  if (missing.length > 0) {
    const few = missing.slice(0, 5).map(({ name }) => name);
    found.push(`${missing.length} documents have no line: ${few.join(' ')}`);
  }
  if (total !== sent.length) found.push(`total is ${total} of ${sent.length}`);
  return found;
}

function wrongCounts({ ends }: Seen, output: readonly ResultLine[], errors: readonly ResultLine[]): string[] {
  const failed = errors.filter(({ error }) => !UNFINISHED.has(error?.code)).length;
  const { completed, failed: counted } = ends[0]?.request_counts ?? {};
  if (completed === output.length && counted === failed) return [];
  return [`counts ${completed}/${counted}, lines ${output.length}/${failed}`];
}

/** What was visible before the end is in the files, letter by letter, and was seen once. */
function changedLines({ early, output, errors }: Seen): string[] {
  const parsed = [...output, ...errors].map((line) => JSON.parse(line) as { custom_id: string });
  const last = new Map(parsed.map((line) => [line.custom_id, JSON.stringify(line)]));
  const names = early.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);
  const changed = names.filter((name, at) => last.get(name) !== early[at]);
  const twice = names.length - new Set(names).size;
  return [
    ...(changed.length === 0 ? [] : [`${changed.length} results changed after they were visible: ${changed[0]}`]),
    ...(twice === 0 ? [] : [`${twice} results were shown twice behind a cursor`]),
  ];
}

/** The answer is the one that the named model gives, the model is the one that should have answered, and nobody paid. */
function wrongAnswer({ sent, wish, isRedecided }: Seen, line: ResultLine, { calls, mayCharge }: Terms): string[] {
  const { custom_id: name, cascade } = line;
  const kind = sent.find((one) => one.name === name)?.kind;
  if (kind === undefined) return [];
  const { stages, mayCharge: itsOwn, directives } = DOCUMENT_KINDS[kind];
  // By thresholds that are found, or changed, each stage may have to do with it.
  const isFree = wish !== 'nothing' || isRedecided;
  const whose: readonly string[] = isFree ? MODELS : stages;
  const found: string[] = [];
  const body = line.response?.body as { choices?: { message?: { content?: string } }[] } | undefined;
  const text = body?.choices?.[0]?.message?.content;
  const model = cascade?.model as ModelName;
  if (!whose.includes(model)) {
    found.push(`${name} (${kind}) was answered by ${model} in place of ${whose.join(' or ')}: ${paidFor(line)}`);
  }
  if (text !== answerOf(model, name, directives))
    found.push(`${name} has the answer ${JSON.stringify(text)} of ${model}`);
  for (const entry of cascade?.stages ?? []) {
    // A document may be passed on unasked, or while its call has still not reached the server.
    const isAsked = !isFree || !['skipped', 'failed'].includes(entry.outcome);
    if (isAsked && (calls[entry.model as ModelName].get(name) ?? 0) === 0)
      found.push(`${name}: ${entry.model} never had its call`);
    if (entry.attempts > 1 && !mayCharge && !itsOwn) found.push(`${name} was charged: ${paidFor(line)}`);
  }
  const beyond = isFree ? [] : MODELS.slice(MODELS.indexOf(stages.at(-1) ?? 'large') + 1);
  if (beyond.some((one) => (calls[one].get(name) ?? 0) > 0))
    found.push(`${name} (${kind}) went further than it should`);
  return found;
}

const paidFor = ({ cascade }: ResultLine): string =>
  (cascade?.stages ?? [])
    .map(({ model, outcome, reason, attempts }) => [model, outcome, reason, attempts].join('/'))
    .join(' ');

/** Only those that nobody could answer are there, or those whose batch was cancelled. */
function wrongError({ sent, isCancelAsked }: Seen, line: ResultLine): string[] {
  const kind = sent.find((one) => one.name === line.custom_id)?.kind;
  if (kind === undefined || DOCUMENT_KINDS[kind].stages.length === 0) return [];
  if (isCancelAsked && line.error?.code === 'batch_cancelled') return [];
  const what = JSON.stringify(line.error ?? line.response);
  return [`${line.custom_id} (${kind}) failed by somebody else's fault: ${what} ${paidFor(line)}`];
}

/** Processes end when they are told to, within their limit and with code 0, and by nothing else. */
export function wrongEndings(endings: readonly Ending[]): string[] {
  return endings.flatMap(({ process, how, code, signal, ms }) => {
    if (how === 'before_ready') return [];
    if (how === 'by_itself') return [`${process} ended by itself: code ${code}, signal ${signal}`];
    if (code === 0 && ms <= MAX_STOP_MS) return [];
    return [`${process} took ${ms} ms to end at SIGTERM: code ${code}, signal ${signal}`];
  });
}

/** While one process after the other is replaced, no call of a client fails. */
export const failedInCalm = (calls: readonly FailedCall[]): string[] =>
  calls.map(({ call, status, message }) => `a call failed in a rolling restart: ${call} ${status} ${message}`);
