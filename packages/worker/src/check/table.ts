import type { ModelFindings } from '@spillway/core';
import type { CheckReport } from './check-models.ts';

const word = (value: boolean | string | null): string =>
  value === null ? '?' : value === true ? 'yes' : value === false ? 'no' : value.replaceAll('_', ' ');

type Column = { readonly title: string; readonly of: (checked: CheckReport) => string };

const ofFindings = (title: string, read: (found: ModelFindings) => boolean | string | null): Column => ({
  title,
  of: ({ found }) => word(read(found)),
});

const COLUMNS: readonly Column[] = [
  { title: 'model', of: ({ name }) => name },
  { title: 'role', of: ({ role }) => role },
  { title: '', of: ({ ok }) => (ok ? 'ok' : 'NO') },
  ofFindings('reachable', ({ reachable }) => reachable),
  ofFindings('known', ({ known }) => known),
  ofFindings('ms', ({ ms }) => (ms === null ? null : String(ms))),
  ofFindings('log-probs', ({ log_probs }) => log_probs),
  ofFindings('alternatives', ({ alternatives }) => alternatives),
  ofFindings('streamed', ({ streamed_log_probs }) => streamed_log_probs),
  { title: 'scoring', of: ({ found: { scoring } }) => scoring ?? '?' },
  ofFindings('continuation', ({ continuation }) => continuation),
  ofFindings('JSON mode', ({ json_mode }) => json_mode),
];

/** What checks found, as a table for people: a line for each model, and below it why one will not do. */
export function tableOf(models: readonly CheckReport[]): string[] {
  const rows = [COLUMNS.map(({ title }) => title), ...models.map((one) => COLUMNS.map(({ of }) => of(one)))];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const [head = '', ...lines] = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [head, ...lines.flatMap((line, at) => [line, ...remarksOf(models[at])])];
}

function remarksOf(checked: CheckReport | undefined): string[] {
  if (checked === undefined) return [];
  const { reason, found } = checked;
  const refused = found.refused.length === 0 ? [] : [`  it refuses ${found.refused.join(', ')}`];
  return [...(reason === null ? [] : [`  ${reason}`]), ...refused];
}
