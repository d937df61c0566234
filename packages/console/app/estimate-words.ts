import { counted, count } from '@spillway/core/amounts';
import { dollarRange, share, timeRange } from './format.ts';

type Range = { readonly low: number; readonly high: number; readonly expected: number | null };

/** What a dry run says a batch would be. */
export type Estimate = {
  readonly valid: boolean;
  readonly errors: { readonly data: readonly { readonly message: string; readonly line: number | null }[] } | null;
  readonly documents: { readonly total: number; readonly copies: number; readonly bad_lines: number };
  readonly input_tokens: { readonly expected: number } | null;
  readonly pilot: { readonly documents: number; readonly cost_usd: number | null } | null;
  readonly escalated_share: Range | null;
  readonly cost_usd: Range | null;
  readonly all_expert_usd: Range | null;
  readonly seconds: Range | null;
  readonly notes: readonly string[];
};

/** The same in sentences. */
export function estimateLines(estimate: Estimate): string[] {
  const {
    documents,
    input_tokens: tokens,
    pilot,
    escalated_share: escalated,
    cost_usd: cost,
    all_expert_usd: expert,
    seconds,
    notes,
  } = estimate;
  const copies = documents.copies === 0 ? '' : `, ${count(documents.copies)} of them copies that cost nothing`;
  const lines = [
    `${counted(documents.total, 'document')}${copies}${tokens === null ? '' : `, about ${count(Math.round(tokens.expected))} tokens to read`}.`,
  ];
  if (pilot !== null) lines.push(`${counted(pilot.documents, 'document')} were answered to know this.`);
  if (escalated !== null) lines.push(`Escalated: ${share(escalated.low)} to ${share(escalated.high)}.`);
  if (cost !== null)
    lines.push(
      `Cost: ${dollarRange(cost)}${expert === null ? '' : `; all of it by the expert ${dollarRange(expert)}`}.`,
    );
  if (seconds !== null) lines.push(`Time: ${timeRange(seconds)}.`);
  return [...lines, ...notes];
}
