/** What is promised and what audits found, in the words of the terminal and of the console. */

import { count, counted, percent, range } from './amounts.ts';

/** How thresholds were found, as a batch object says it. */
type Threshold = {
  readonly promise?:
    | {
        readonly agreement?: number | undefined;
        readonly accuracy?: number | undefined;
        readonly certainty: number;
        readonly otherwise: string;
      }
    | null
    | undefined;
  readonly budget: { readonly expert_share: number } | null;
  readonly outcome: string;
  readonly reason?: string | null | undefined;
  readonly sampled: number;
  readonly expert_share?: number | null | undefined;
  readonly stages: readonly {
    readonly model: string;
    readonly accept_at: number | null;
    readonly allowed?: number | null | undefined;
    readonly disagreements?: number | null | undefined;
  }[];
};

/** What came of an audit. */
type Audit = {
  readonly chosen: number;
  readonly done: number;
  readonly disagreed: number;
  readonly at_most: number;
  readonly bounds: { readonly low: number; readonly high: number };
  readonly alarm: object | null;
};

/** Why nothing could be promised, for people. */
const REASONS: Readonly<Record<string, string>> = {
  batch_too_small: 'a sample that could show it would be most of the batch',
  too_few_labels: 'too few documents have labels',
  no_evidence: 'no draft could be judged',
  disagreements: 'even the surest drafts disagree too often',
  expert_below_target: 'the expert itself is too often wrong',
  sample_unfinished: 'its money or time was up before enough of the sample was answered',
  deadline: 'too many drafts were delivered at the deadline',
};

/** A confidence with as many digits as say something. */
const confidence = (value: number): string => String(Number(value.toFixed(value > 0.99 ? 6 : 4)));

/** A share with as many digits as it was given. */
export const share = (value: number): string => `${Number((100 * value).toFixed(2))} %`;

/** What is promised of a batch's answers, and by what that was shown. */
export function thresholdWords({ promise, budget, outcome, reason, sampled, stages, ...rest }: Threshold): string {
  const from = fromWords(stages);
  if (budget !== null) {
    const found = outcome === 'sampling' ? `a sample of ${count(sampled)} finds the threshold` : from;
    return `about ${share(budget.expert_share)} to the expert; ${found}`;
  }
  const what = promiseWords(promise);
  if (outcome === 'sampling') return `${what}; a sample of ${counted(sampled, 'document')} is answered first`;
  if (outcome === 'certified') {
    const allowed = stages.reduce((sum, one) => sum + (one.allowed ?? 0), 0);
    const disagreements = stages.reduce((sum, one) => sum + (one.disagreements ?? 0), 0);
    const shown = `${count(disagreements)} of ${count(allowed)} disagreements that it may show`;
    return `certified: ${what}. Shown by a sample of ${count(sampled)} (${shown}); ${from}`;
  }
  const why = REASONS[reason ?? ''] ?? reason ?? 'nobody says why';
  const then =
    promise?.otherwise === 'best_effort' && rest.expert_share !== 1
      ? `nothing is promised; by the best guess ${from}`
      : 'so all of it is answered by the expert';
  return `NOT certified (${why}), ${then}. Wished for was: ${what}`;
}

function promiseWords(promise: Threshold['promise']): string {
  const { agreement, accuracy, certainty = 0 } = promise ?? {};
  const what =
    agreement === undefined
      ? `at least ${share(accuracy ?? 0)} of the answers are right`
      : `at least ${share(agreement)} of the answers say what the expert would`;
  return `${what}, with ${share(certainty)} certainty`;
}

function fromWords(stages: Threshold['stages']): string {
  const each = stages.map(({ model, accept_at: at }) =>
    at === null
      ? `no draft of ${model} is final`
      : `drafts of ${model} are final from a confidence of ${confidence(at)} on`,
  );
  return each.join(', ');
}

/** What watching over a promise has found. */
export function auditWords({ chosen, done, disagreed, at_most: most, bounds, alarm }: Audit): string {
  const between = done === 0 ? '' : `, so ${range(percent(bounds.low), percent(bounds.high))} of all accepted ones do`;
  const found = `${count(disagreed)} of ${count(done)} accepted drafts disagree with the expert${between}`;
  const waiting = done < chosen ? `; ${count(chosen - done)} more were to be asked` : '';
  return alarm === null ? `${found}${waiting}` : `ALARM: ${found}, and ${share(most)} may${waiting}`;
}
