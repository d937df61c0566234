import { count } from '@spillway/core/amounts';
import { share } from './format.ts';
import type { BatchReport } from './report.ts';

type Threshold = BatchReport['thresholds'][number];

/** What is promised of a batch's answers, and by what that was shown. */
export function thresholdWords({ promise, budget, outcome, reason, sampled, stages }: Threshold): string {
  const from = stages
    .map(({ model, accept_at: at }) =>
      at === null ? `no draft of ${model} is final` : `drafts of ${model} are final from ${Number(at.toFixed(4))} on`,
    )
    .join(', ');
  if (budget !== null)
    return `About ${share(budget.expert_share)} to the expert: ${from || 'the sample is being answered'}.`;
  const target = promise !== null && 'agreement' in promise ? promise.agreement : (promise?.accuracy ?? 0);
  const wish =
    promise !== null && 'agreement' in promise
      ? `at least ${share(target)} of the answers say what the expert would`
      : `at least ${share(target)} of the answers are right`;
  const certain = `${wish}, with ${share(promise?.certainty ?? 0)} certainty`;
  if (outcome === 'sampling')
    return `Wished for: ${certain}. A sample of ${count(sampled)} documents is answered first.`;
  if (outcome === 'certified') return `Certified: ${certain}. Shown by a sample of ${count(sampled)}; ${from}.`;
  return `Not certified (${(reason ?? '').replaceAll('_', ' ')}). Wished for was: ${certain}.`;
}
