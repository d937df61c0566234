import { readFileSync } from 'node:fs';
import { labelledAnswer, labelText, writtenId } from '@spillway/core';
import { z } from 'zod';
import { UserError } from '../client.ts';

const label = z.union([z.strictObject({ custom_id: z.string(), correct: z.boolean() }), labelledAnswer]);

/** What is known of a document: the right answer, or whether its draft is right. */
export type Label = { readonly correct: boolean } | { readonly answer: string };

const MAX_SHOWN = 10;

/** Reads a file of labels, a JSON object per line; every problem is named with its line. */
export function readLabels(path: string, known: ReadonlySet<string>): Map<string, Label> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const labels = new Map<string, Label>();
  const problems: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const problem = take(line, labels, known);
    if (problem !== null) problems.push(`${path}, line ${index + 1}: ${problem}`);
  }
  if (problems.length === 0 && labels.size > 0) return labels;
  if (problems.length === 0) throw new UserError(`${path} has no labels`);
  const more = problems.length > MAX_SHOWN ? [`and ${problems.length - MAX_SHOWN} more`] : [];
  throw new UserError([...problems.slice(0, MAX_SHOWN), ...more].join('\n'));
}

function take(line: string, labels: Map<string, Label>, known: ReadonlySet<string>): string | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'expected a JSON object';
  }
  const read = label.safeParse(value);
  if (!read.success) return 'expected {"custom_id": …, "answer": …} or {"custom_id": …, "correct": true or false}';
  const { custom_id: given } = read.data;
  const id = known.has(given) ? given : writtenId(given);
  if (!known.has(id)) return `the batch has no document ${JSON.stringify(id)}`;
  if (labels.has(id)) return `the document ${JSON.stringify(id)} has a label before`;
  if ('correct' in read.data) labels.set(id, { correct: read.data.correct });
  else labels.set(id, { answer: labelText(read.data) });
  return null;
}
