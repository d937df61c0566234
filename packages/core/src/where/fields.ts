import { lineAnswer, RESULT_COLUMNS, resultCells } from '../document/line-values.ts';
import type { ResultLine } from '../document/result-line.ts';
import { LIMITS } from '../limits.ts';
import { readingJson } from '../text/json-read.ts';
import { isJsonObject, type Json } from '../text/json.ts';
import type { Fields } from './expression.ts';

/** The fields that a condition knows of a result, each with what it says. */
export const RESULT_FIELDS: Readonly<Record<string, string>> = {
  custom_id: "the document's id",
  status: 'the HTTP status of its answer; null without one',
  error: 'why it has no answer; null where it has one',
  cascade: 'the cascade',
  model: 'the model that answered',
  role: 'drafter or expert',
  stage: 'the stage that answered, from 1',
  escalated: "whether the first stage's draft was not final",
  sampled: 'whether it is of the sample by which the threshold was found',
  confidence: 'of the draft that was judged last; 0 of one that was given up early',
  reason: 'why a draft was not final',
  attempts: 'calls of all stages together',
  copy_of: 'the document that it is a copy of',
  reviewed: 'whether somebody said what the right answer is',
  waited_ms: 'from enqueueing to the answer',
  sequential_ms: 'until the first call of the stage that answered',
  answer: 'the text of the answer, its first million characters; answer.NAME is a value of a JSON answer',
};

const ANSWER = 'answer.';

export const isResultField = (name: string): boolean => Object.hasOwn(RESULT_FIELDS, name) || name.startsWith(ANSWER);

/** The fields of a result line by their names. */
export function resultFields(line: ResultLine): Fields {
  const cells: Readonly<Record<string, unknown>> = resultCells(line);
  const answer = lazily(() => lineAnswer(line)?.slice(0, LIMITS.judgedCharacters) ?? null);
  const json = lazily(() => answerJson(answer()));
  let last: { readonly name: string; readonly value: unknown } | null = null;
  const { cascade, response } = line;
  return (name) => {
    if (name === 'confidence') return cells[name] ?? (isGivenUp(line) ? 0 : null);
    if ((RESULT_COLUMNS as readonly string[]).includes(name)) return cells[name];
    if (name.startsWith(ANSWER)) {
      // One at a time: each may be as long as the answer.
      if (last?.name !== name) last = { name, value: answerValue(json(), name.slice(ANSWER.length)) };
      return last.value;
    }
    switch (name) {
      case 'custom_id':
        return line.custom_id;
      case 'status':
        return response?.status_code;
      case 'attempts':
        return cascade?.stages.reduce((sum, { attempts }) => sum + attempts, 0);
      case 'sampled':
        return cascade?.sampled === true;
      case 'copy_of':
        return cascade?.copy_of;
      case 'reviewed':
        return cascade?.review !== undefined;
      case 'waited_ms':
        return cascade?.wait_ms.total;
      case 'sequential_ms':
        return cascade?.wait_ms.sequential;
      default:
        return answer();
    }
  };
}

/** Nothing could make such a draft final any more, and nobody knows its confidence. */
const isGivenUp = ({ cascade }: ResultLine): boolean =>
  cascade?.stages.some(({ stopped }) => stopped !== undefined) === true;

/** What a condition asks for again and again is found once for a line. */
function lazily<Value>(find: () => Value): () => Value {
  let found: { readonly value: Value } | null = null;
  return () => (found ??= { value: find() }).value;
}

/** What the text of an answer says as JSON; null where it is none, was cut, or has more than is looked at value by value. */
function answerJson(text: string | null): Json {
  if (text === null) return null;
  const reading = readingJson(text, { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues });
  for (let step = reading.next(); ; step = reading.next()) {
    if (step.done === true) return step.value.kind === 'json' ? step.value.value : null;
  }
}

/** A value of a JSON answer by its path, `total` or `buyer.name`; of one that holds others what it says as JSON. */
function answerValue(answer: Json, path: string): unknown {
  const value = path
    .split('.')
    .reduce<unknown>((inner, name) => (isJsonObject(inner) && Object.hasOwn(inner, name) ? inner[name] : null), answer);
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
