import { figures } from './figures.ts';
import type { Judgement } from './judge.ts';
import type { Measure } from './measure.ts';
import { escapeHtml } from './plot.ts';
import type { CalibrationReport } from './report.ts';
import type { ThresholdRow } from './thresholds.ts';
import { rowText } from './verdict.ts';

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const number = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
const dollars = (value: number | null): string => (value === null ? '–' : `$${value.toPrecision(3)}`);

/** The report as one page that needs nothing else: pictures inside, no script, nothing from the network. */
export function reportPage(report: CalibrationReport): string {
  const { cascade, stage, ask, drafter, expert, signal, method, basis, judgement } = report;
  const { verdict } = judgement;
  const part = report.field === undefined ? '' : `, the value <code>${escapeHtml(report.field)}</code>`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Calibration of ${escapeHtml(cascade)}</title>
<style>${STYLE}</style>
<h1>Calibration of <b>${escapeHtml(cascade)}</b>, stage ${stage}${part}</h1>
<p>${escapeHtml(drafter)} ${ask === 'verdict' ? 'judges drafts' : 'drafts'}, ${escapeHtml(expert)} is the expert; signal <code>${escapeHtml(JSON.stringify(signal))}</code>, calibrated by ${escapeHtml(method ?? 'nothing')}; right means ${escapeHtml(basis)}.</p>
<p>Made with the model server <code>${escapeHtml(report.made_with.server)}</code>; ${escapeHtml(formatsText(report))}.</p>
<p class="verdict ${verdict.kind}"><b>${VERDICTS[verdict.kind]}</b>: ${escapeHtml(verdict.why)}.</p>
<section class="figures">${figures(judgement)}${measures(judgement)}</section>
${signals(report)}
<h2>Thresholds</h2>
${wishedFor(judgement)}
${table(judgement)}
${sureAndWrong(judgement)}
<p>Shares, accuracies and money are of drafts that the calibration had not seen (five folds). Made ${escapeHtml(report.created_at)} from ${judgement.labels.total} labels.</p>
</html>
`;
}

/** What the answers were asked to be, as words. */
export function formatsText({ made_with: { formats } }: Pick<CalibrationReport, 'made_with'>): string {
  if (formats === null)
    return 'an older Spillway wrote the lines, which do not say which response_format was asked for';
  return `response_format: ${formats.join(', ') || 'none'}`;
}

const VERDICTS = {
  pays: 'The cascade pays',
  pays_at_less: 'The cascade pays at less accuracy',
  does_not_pay: 'The cascade does not pay',
  cannot_be_judged: 'It cannot be judged',
  drafter_only: 'Only the drafter is judged',
} as const;

function measures(judgement: Judgement): string {
  const { before, after, labels, expert_accuracy: expert } = judgement;
  const measure = (name: string, { value, interval }: Measure): string =>
    `<tr><td>${name}<td>${number(value)}<td>${interval === null ? '–' : `${number(interval[0])} to ${number(interval[1])}`}`;
  const unknown = labels.expert_unknown;
  return `<table><tr><th>measure<th>value<th>95 % bootstrap
${measure('AUROC', judgement.auroc)}${measure('AUDC', judgement.audc)}${measure('gain', judgement.gain)}${measure('expert better by', judgement.better)}
<tr><td>ECE before → after<td colspan="2">${number(before?.ece ?? null)} → ${number(after.ece)}
<tr><td>Brier before → after<td colspan="2">${number(before?.brier ?? null)} → ${number(after.brier)}
<tr><td>drafter only<td colspan="2">${percent(judgement.drafter_accuracy)}
<tr><td>expert only<td colspan="2">${expert === null ? 'not known' : percent(expert)}, ${dollars(judgement.all_expert_usd_per_1000)} per 1,000
<tr><td>drafts without evidence<td colspan="2">${labels.no_evidence} of ${labels.total}
${unknown === 0 ? '' : `<tr><td>expert not known to be right or wrong<td colspan="2">${unknown} of ${labels.total}, of which it was not asked about ${labels.expert_unasked}`}
</table>`;
}

/** All signals of the sample side by side, on the same documents. */
function signals({ signals: all, sample }: CalibrationReport): string {
  if (all.length < 2) return '';
  const rows = all.map(({ signal, auroc, gain, ece, chosen, verdict }) => {
    const given =
      chosen === null
        ? '<td>–<td>–<td>–'
        : `<td>${percent(chosen.escalated)}<td>${chosen.accuracy === null ? '–' : percent(chosen.accuracy)}<td>${dollars(chosen.usd_per_1000)}`;
    return `<tr><td><code>${escapeHtml(JSON.stringify(signal))}</code><td>${within(auroc)}<td>${within(gain)}<td>${number(ece)}${given}<td>${VERDICTS[verdict.kind]}`;
  });
  const from =
    sample === null ? '' : `, which costs nothing more: <code>--from ${escapeHtml(sample)} --signal …</code>`;
  return `<h2>Signals</h2>
<p>All signals of the sample on the same documents, the one of this page first; a calibration of another one is made from it${from}.</p>
<table><tr><th>signal<th>AUROC<th>gain<th>ECE<th>escalated<th>accuracy<th>per 1,000<th>verdict\n${rows.join('\n')}</table>`;
}

const within = ({ value, interval }: Measure): string =>
  interval === null ? number(value) : `${number(value)} (${number(interval[0])} to ${number(interval[1])})`;

function wishedFor({ chosen: row, wish, verdict }: Judgement): string {
  if (wish === null) {
    return '<p class="chosen">No threshold is recommended: <code>--accuracy SHARE</code> chooses the one whose accepted drafts are so often right.</p>';
  }
  if (row === null) return `<p class="chosen">No threshold reaches ${escapeHtml(wish)}.</p>`;
  const { recommended } = verdict;
  const other =
    recommended === null || recommended.accept_at === row.accept_at
      ? ''
      : ` Recommended instead: ${escapeHtml(rowText(recommended))}.`;
  return `<p class="chosen">For ${escapeHtml(wish)}: ${escapeHtml(rowText(row))}.${other}</p>`;
}

function table(judgement: Judgement): string {
  const { thresholds, verdict, chosen: wished, today, all_expert_usd_per_1000: expertUsd } = judgement;
  const marked = verdict.recommended ?? wished;
  const row = (
    { accept_at: at, escalated, accuracy, accepted_right: right, usd_per_1000: usd }: ThresholdRow,
    mark = '',
  ) =>
    `<tr${mark === '' ? '' : ' class="marked"'}><td>${at}${mark}<td>${percent(escalated)}<td>${accuracy === null ? '–' : percent(accuracy)}<td>${right === null ? '–' : percent(right)}<td>${dollars(usd)}${usd !== null && expertUsd !== null && usd >= expertUsd ? ', more than the expert alone' : ''}`;
  const rows = [
    ...(today === null ? [] : [row(today, ' (today, as the batch was decided)')]),
    ...thresholds.map((one) => row(one, one.accept_at === marked?.accept_at ? ' ← chosen' : '')),
  ];
  return `<table><tr><th>accept_at<th>escalated<th>accuracy<th>right of the accepted<th>per 1,000 documents\n${rows.join('\n')}</table>`;
}

function sureAndWrong({ sure_and_wrong: wrong }: Judgement): string {
  if (wrong.length === 0) return '';
  const rows = wrong.map(
    ({ custom_id: id, confidence, draft, wanted }) =>
      `<tr><td>${escapeHtml(id)}<td>${number(confidence)}<td>${escapeHtml(draft)}<td>${escapeHtml(wanted ?? '–')}`,
  );
  return `<h2>Sure and wrong</h2>
<p>The drafts that are wrong though the calibration is surest of them: look whether the label is right, and what they have in common.</p>
<table><tr><th>document<th>confidence<th>draft<th>wanted\n${rows.join('\n')}</table>`;
}

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1f2937}
h1 b{font-weight:700}h1{font-weight:400}
.verdict,.chosen{padding:.6rem 1rem;border-left:4px solid #2563eb;background:#eff6ff}
.verdict.does_not_pay{border-color:#b91c1c;background:#fef2f2}.verdict.cannot_be_judged{border-color:#b45309;background:#fffbeb}.verdict.drafter_only{border-color:#6b7280;background:#f9fafb}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem;align-items:start}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font-size:11px;fill:#4b5563}.grid{stroke:#e5e7eb}
.marked{font-weight:600;background:#fef3c7}.legend span{margin-right:1rem}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .8rem .15rem 0;text-align:left;border-bottom:1px solid #e5e7eb}
`;
