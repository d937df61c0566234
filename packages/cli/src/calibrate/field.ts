import { isJsonObject, parseJson, pointerTokens, SIGNALS, type Json, type SignalSpec } from '@spillway/core';
import { UserError } from '../client.ts';
import type { DraftedDocument } from './drafts.ts';
import type { Label } from './labels.ts';

/** Drafts and labels of one value of JSON answers, each as if it were an answer of its own. */
export type FieldDrafts = {
  readonly drafts: DraftedDocument[];
  readonly labels: ReadonlyMap<string, Label> | null;
};

/** What cannot be calibrated value by value is refused before it costs anything. */
export function refuseField(signal: SignalSpec, labels: ReadonlyMap<string, Label> | null): void {
  if (!SIGNALS[signal.name].scoresValues) throw new UserError(`--field: ${signal.name} does not score each value`);
  if ([...(labels?.values() ?? [])].some((label) => 'correct' in label))
    throw new UserError('--field: a label that says "correct" says nothing of one value: "answer" does');
}

/**
 * The values that a JSON pointer names in the drafts (`*`: every index; of an object or array all beneath it), each with
 * its own score, and beside it what the expert and the label have in its place: nothing there is a value like any other.
 */
export function fieldDrafts(
  documents: readonly DraftedDocument[],
  labels: ReadonlyMap<string, Label> | null,
  field: string,
): FieldDrafts {
  const wanted = pointerTokens(field) ?? [];
  const drafts: DraftedDocument[] = [];
  const ofValues = new Map<string, Label>();
  for (const document of documents) {
    const { customId, values } = document;
    const label = labels?.get(customId);
    const said = { draft: document.draft, expert: document.expert, label: answerOf(label) };
    for (const [path, score] of Object.entries(values ?? {})) {
      const tokens = pointerTokens(path);
      const draft = tokens !== null && matches(wanted, tokens) ? valueIn(said.draft, tokens) : null;
      if (tokens === null || draft === null) continue;
      const id = `${customId} ${path}`;
      const wantedValue = valueIn(said.label, tokens);
      if (wantedValue !== null) ofValues.set(id, { answer: wantedValue });
      const own = { customId: id, draft, expert: valueIn(said.expert, tokens), score, isAcceptedToday: false };
      drafts.push({ ...document, ...own, scores: {}, features: null, values: null });
    }
  }
  if (drafts.length === 0)
    throw new UserError(`no line shows a score of the value ${field}: run with --sample, and look at its drafts`);
  return { drafts, labels: labels === null ? null : ofValues };
}

const answerOf = (label: Label | undefined): string | null =>
  label !== undefined && 'answer' in label ? label.answer : null;

/** Whether a value is one that a pointer names, or beneath it. */
const matches = (wanted: readonly string[], tokens: readonly string[]): boolean =>
  wanted.length <= tokens.length &&
  wanted.every((one, at) => one === tokens[at] || (one === '*' && /^\d+$/.test(tokens[at] ?? '')));

/** What an answer that lacks a value has in its place: no JSON, so that it equals none. */
const MISSING = '';

/** The value at a place of an answer, as JSON; null: the answer is none, or nobody gave it. */
function valueIn(text: string | null, tokens: readonly string[]): string | null {
  if (text === null) return null;
  let value: Json | undefined = parseJson(text);
  if (typeof value !== 'object' || value === null) return null;
  for (const token of tokens) {
    const inner: Json | undefined = Array.isArray(value)
      ? value[Number(token)]
      : isJsonObject(value) && Object.hasOwn(value, token)
        ? value[token]
        : undefined;
    if (inner === undefined) return MISSING;
    value = inner;
  }
  return JSON.stringify(value);
}
