import { requestIdOf, resultLineId } from '../batch/ids.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { judgingStages, shownThreshold } from '../cascade/thresholds.ts';
import { agrees } from '../confidence/index.ts';
import { answerText } from '../endpoints/index.ts';
import { jsonLine } from '../text/json-line.ts';
import type { Result, UnaskedResult } from './result.ts';
import type { ResultLine } from './result-line.ts';
import type { Sampled } from './sample-line.ts';
import { readTimes } from './times.ts';

/** What a document of the batch gets from its sample: by its own ids, and by the rules that were found. */
export function sampledResult(
  { line, sample }: { readonly line: ResultLine; readonly sample: Sampled },
  {
    batch,
    document,
    of,
  }: { readonly batch: string; readonly document: number; readonly of: { batch: string; document: number } },
  rules: CascadeRules,
): Result | UnaskedResult | null {
  const isAsked = sample.times !== '';
  const read = readTimes(sample.times);
  if (isAsked && read === null) return null;
  const { cascade, response, error, custom_id } = line;
  const own = requestIdOf(of.batch, of.document);
  const isOwn = response?.request_id === own;
  const text = jsonLine({
    id: resultLineId(batch, document),
    custom_id,
    response: response === null || !isOwn ? response : { ...response, request_id: requestIdOf(batch, document) },
    error,
    ...(rules.annotate && cascade !== undefined ? { cascade: annotated(cascade, rules) } : {}),
  });
  return {
    line: { part: response !== null && response.status_code < 300 ? 'output' : 'error', text },
    counts: sample.counts,
    said: sample.said,
    ...read,
  };
}

const annotated = (cascade: NonNullable<ResultLine['cascade']>, rules: CascadeRules): ResultLine['cascade'] => ({
  ...cascade,
  certificate: rules.certificate ?? null,
  sampled: true,
  stages: cascade.stages.map((stage, at) => {
    const rule = rules.stages[at];
    const judge = rule?.judge ?? rule?.verdict;
    return judge === undefined || judge === null ? stage : { ...stage, accept_at: shownThreshold(judge.acceptAt) };
  }),
});

/** Whether the expert's answer to a sampled document is what its label says, and the draft of each judging stage, in order. */
export function rightOf(
  { response, cascade }: ResultLine,
  rules: CascadeRules,
  label: string,
): { readonly expert: boolean; readonly drafts: readonly boolean[] } {
  const isRight = (text: string | null | undefined): boolean => text != null && agrees(rules.agreement, text, label);
  const isAnswered = response !== null && response.status_code < 300;
  const last = rules.stages.length - 1;
  return {
    expert: isAnswered && isRight(answerText(response.body)),
    drafts: judgingStages(rules).map((stage) => {
      const { verdict_on: on } = cascade?.stages[stage] ?? {};
      const drafted = stage === last ? (on ?? 0) - 1 : stage;
      return isRight(cascade?.stages[drafted]?.draft?.text);
    }),
  };
}
