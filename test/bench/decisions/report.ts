import type { PromiseVerdict, RuleVerdict } from './judge.ts';

const percent = (share: number): string => (100 * share).toFixed(1);

/** A table for people: a block for each promise, a line for each rule. */
export function tableOf(verdicts: readonly PromiseVerdict[]): string {
  return verdicts.map(blockOf).join('');
}

function blockOf({ agreement, delta, size, batches, replaced, optimum, rules }: PromiseVerdict): string {
  const drawn = replaced ? 'drawn with replacement' : 'drawn without replacement';
  const head =
    `\nagreement ${agreement}, δ ${delta}, ${size} documents (${drawn}, ${batches} batches); ` +
    `the expert gets ${percent(optimum)} % in hindsight\n` +
    `  ${'rule'.padEnd(23)} sample  broken % (95 %)       expert's share %   above the optimum   nothing accepted %\n`;
  return `${head}${rules.map((rule) => lineOf(rule, { delta, optimum })).join('')}`;
}

function lineOf(verdict: RuleVerdict, { delta, optimum }: { delta: number; optimum: number }): string {
  const {
    rule,
    sample,
    broken,
    brokenInterval: [low, high],
    expertShare,
    expertShareError,
    nothingAccepted,
  } = verdict;
  const interval = `${percent(broken).padStart(5)} (${percent(low)}, ${percent(high)})`;
  const mark = low > delta ? '!' : ' ';
  return (
    `  ${rule.padEnd(23)} ${String(sample ?? '–').padStart(6)}  ${interval.padEnd(18)} ${mark}  ` +
    `${percent(expertShare).padStart(6)} ± ${percent(1.96 * expertShareError).padEnd(6)}  ` +
    `${percent(expertShare - optimum).padStart(10)}          ${percent(nothingAccepted).padStart(8)}\n`
  );
}

/** The promises as JSON says them: what the rule of the service did, and beside it the others. */
export const promisesOf = (verdicts: readonly PromiseVerdict[]) =>
  verdicts.map(({ agreement, delta, size, batches, replaced, optimum, rules: [own, ...others] }) => ({
    agreement,
    delta,
    size,
    batches,
    broken: own?.broken ?? 0,
    expertShare: own?.expertShare ?? 1,
    optimum,
    sample: own?.sample ?? null,
    brokenInterval: own?.brokenInterval ?? [0, 1],
    expertShareError: own?.expertShareError ?? 0,
    nothingAccepted: own?.nothingAccepted ?? 0,
    drawn: replaced ? 'with replacement' : 'without replacement',
    others: Object.fromEntries(
      others.map(({ rule, sample, broken, expertShare }) => [rule, { sample, broken, expertShare }]),
    ),
  }));
