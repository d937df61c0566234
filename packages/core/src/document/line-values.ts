import { answerText } from '../endpoints/index.ts';
import { isJsonObject } from '../text/json.ts';
import type { ResultLine, StageAnnotation } from './result-line.ts';

/** What is said of every result beside its answer, in this order. */
export const RESULT_COLUMNS = [
  'cascade',
  'model',
  'role',
  'stage',
  'escalated',
  'confidence',
  'reason',
  'error',
] as const;

/** The confidence of a document is that of the stage that was judged last. */
const judgedLast = (stages: readonly StageAnnotation[]): StageAnnotation | undefined =>
  stages.findLast(({ confidence }) => confidence !== null);

/** Why a document has no answer; null: it has one. */
export function lineError({ response, error }: Pick<ResultLine, 'response' | 'error'>): string | null {
  if (error !== null) return `${error.code}: ${error.message}`;
  if (response === null) return 'no response';
  if (response.status_code < 400) return null;
  const { body } = response;
  const inner = isJsonObject(body) ? body['error'] : undefined;
  const message = isJsonObject(inner) && typeof inner['message'] === 'string' ? inner['message'] : JSON.stringify(body);
  return `${response.status_code}: ${message}`;
}

/** The text of an answer; null for a document without one. */
export const lineAnswer = (line: ResultLine): string | null =>
  line.response === null || line.response.status_code >= 400 ? null : answerText(line.response.body);

/** What was decided for a document and why. */
export function resultCells(line: ResultLine): Record<(typeof RESULT_COLUMNS)[number], unknown> {
  const { cascade } = line;
  const stages = cascade?.stages ?? [];
  return {
    cascade: cascade?.name ?? null,
    model: cascade?.model ?? null,
    role: cascade?.role ?? null,
    stage: cascade?.stage ?? null,
    escalated: cascade?.escalated ?? null,
    confidence: judgedLast(stages)?.confidence ?? null,
    reason: stages.findLast(({ reason }) => reason !== null)?.reason ?? null,
    error: lineError(line),
  };
}
