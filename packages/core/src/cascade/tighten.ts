import type { CascadeRules } from './rules.ts';

/** The rules of a cascade whose last stage answers from scratch, whatever drafts there are. */
export function askedWhole(rules: CascadeRules): CascadeRules {
  const stages = rules.stages.map((stage, at) => {
    if (at < rules.stages.length - 1) return stage;
    const { verdict: _verdict, tolerance: _tolerance, ...others } = stage;
    return { ...others, ask: 'answer' as const };
  });
  return { ...rules, stages };
}

/**
 * The rules of a cascade that accepts no more drafts: what is not settled yet goes to the last stage, which answers from
 * scratch. Of all rules that a batch could go on by this is the one of which it is known without any sample that it is no
 * worse: such an answer is the expert's own, and disagrees with it in no case, whatever the scores are worth. A higher
 * threshold may accept drafts that are as often wrong, as an alarm says that the scores are not what they were.
 */
export const tightened = (rules: CascadeRules): CascadeRules => ({ ...askedWhole(rules), tightened: true });

/** The rules of a batch of which these cascades accept no more drafts. */
export const tightenedRules = (
  rules: Readonly<Record<string, CascadeRules>>,
  cascades: readonly string[],
): Readonly<Record<string, CascadeRules>> =>
  Object.fromEntries(
    Object.entries(rules).map(([name, own]) => [name, cascades.includes(name) ? tightened(own) : own]),
  );
