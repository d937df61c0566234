import type { Bin, Judgement, Measure, ThresholdRow } from './judge.ts';
import { escapeHtml, plotSvg, type Point } from './plot.ts';
import type { CalibrationReport } from './report.ts';

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const number = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
const dollars = (value: number | null): string => (value === null ? '–' : `$${value.toPrecision(3)}`);

/** The report as one page that needs nothing else: pictures inside, no script, nothing from the network. */
export function reportPage(report: CalibrationReport): string {
  const { cascade, stage, ask, drafter, expert, signal, method, basis, judgement } = report;
  const { verdict } = judgement;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Calibration of ${escapeHtml(cascade)}</title>
<style>${STYLE}</style>
<h1>Calibration of <b>${escapeHtml(cascade)}</b>, stage ${stage}</h1>
<p>${escapeHtml(drafter)} ${ask === 'verdict' ? 'judges drafts' : 'drafts'}, ${escapeHtml(expert)} is the expert; signal <code>${escapeHtml(JSON.stringify(signal))}</code>, calibrated by ${escapeHtml(method ?? 'nothing')}; right means ${escapeHtml(basis)}.</p>
<p>Made with the model server <code>${escapeHtml(report.made_with.server)}</code>; ${escapeHtml(formatsText(report))}.</p>
<p class="verdict ${verdict.kind}"><b>${VERDICTS[verdict.kind]}</b>: ${escapeHtml(verdict.why)}.</p>
${figures(judgement)}
<h2>Thresholds</h2>
${chosen(report)}
${table(judgement)}
<p>Shares, accuracies and money are of drafts that the calibration had not seen (five folds). Made ${escapeHtml(report.created_at)} from ${judgement.labels.total} labels.</p>
</html>
`;
}

/** What the answers were asked to be, as words. */
export function formatsText({ made_with: { formats } }: CalibrationReport): string {
  if (formats === null)
    return 'an older Spillway wrote the lines, which do not say which response_format was asked for';
  return `response_format: ${formats.join(', ') || 'none'}`;
}

const VERDICTS = {
  pays: 'The cascade pays',
  does_not_pay: 'The cascade does not pay',
  cannot_be_judged: 'It cannot be judged',
} as const;

function figures(judgement: Judgement): string {
  const { before, after, curves, risk_coverage: risk, labels } = judgement;
  const lowest = Math.min(...curves.signal.map(({ accuracy }) => accuracy), judgement.drafter_accuracy);
  const low = Math.max(0, Math.floor(lowest * 20) / 20 - 0.05);
  const curve = (points: readonly { escalated: number; accuracy: number }[]): Point[] =>
    points.map(({ escalated, accuracy }) => ({ x: escalated, y: accuracy }));
  const bins = (all: readonly Bin[]): Point[] => all.map(({ confidence, right }) => ({ x: confidence, y: right }));
  const diagonal = {
    name: 'as it should be',
    colour: '#999',
    dashed: true,
    points: [
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ],
  };
  const reliability = plotSvg({
    title: 'Reliability: of drafts this sure, so many are right',
    x: 'confidence',
    y: 'right',
    yRange: [0, 1],
    series: [
      diagonal,
      ...(before === null ? [] : [{ name: 'before', colour: '#d97706', dots: true, points: bins(before.reliability) }]),
      { name: 'after', colour: '#2563eb', dots: true, points: bins(after.reliability) },
    ],
  });
  const deferral = plotSvg({
    title: 'Deferral: accuracy over the share that goes to the expert',
    x: 'escalated',
    y: 'accuracy',
    yRange: [low, 1],
    series: [
      { name: 'knowing beforehand', colour: '#16a34a', dashed: true, points: curve(curves.oracle) },
      { name: 'this signal', colour: '#2563eb', points: curve(curves.signal) },
      { name: 'at random', colour: '#999', dashed: true, points: curve(curves.random) },
    ],
  });
  const coverage = plotSvg({
    title: 'Risk: wrong ones among the drafts that are accepted',
    x: 'accepted (the surest first)',
    y: 'wrong',
    yRange: [0, Math.max(0.05, Math.ceil(20 * Math.max(...risk.map((point) => point.risk))) / 20)],
    series: [{ name: 'this signal', colour: '#2563eb', points: risk.map(({ coverage: x, risk: y }) => ({ x, y })) }],
  });
  const measure = (name: string, { value, interval }: Measure): string =>
    `<tr><td>${name}<td>${number(value)}<td>${interval === null ? '–' : `${number(interval[0])} to ${number(interval[1])}`}`;
  return `<section class="figures">${reliability}${deferral}${coverage}
<table><tr><th>measure<th>value<th>95 % bootstrap
${measure('AUROC', judgement.auroc)}${measure('AUDC', judgement.audc)}${measure('gain', judgement.gain)}
<tr><td>ECE before → after<td colspan="2">${number(before?.ece ?? null)} → ${number(after.ece)}
<tr><td>Brier before → after<td colspan="2">${number(before?.brier ?? null)} → ${number(after.brier)}
<tr><td>drafter only<td colspan="2">${percent(judgement.drafter_accuracy)}
<tr><td>expert only<td colspan="2">${percent(judgement.expert_accuracy)}, ${dollars(judgement.all_expert_usd_per_1000)} per 1,000
<tr><td>drafts without evidence<td colspan="2">${labels.no_evidence} of ${labels.total}
${labels.expert_assumed === 0 ? '' : `<tr><td>expert taken to be right<td colspan="2">${labels.expert_assumed} of ${labels.total}: its accuracy is at most this`}
</table></section>`;
}

function chosen({ chosen: row, wish }: CalibrationReport): string {
  if (row === null) return `<p class="chosen">No threshold reaches ${escapeHtml(wish)}.</p>`;
  return `<p class="chosen">For ${escapeHtml(wish)}: <code>accept_at: ${row.accept_at}</code> escalates ${percent(row.escalated)}, accuracy ${percent(row.accuracy)}, ${dollars(row.usd_per_1000)} per 1,000 documents.</p>`;
}

function table({ thresholds }: Judgement): string {
  const rows = thresholds.map(
    ({ accept_at: at, escalated, accuracy, usd_per_1000: usd }: ThresholdRow) =>
      `<tr><td>${at}<td>${percent(escalated)}<td>${percent(accuracy)}<td>${dollars(usd)}`,
  );
  return `<table><tr><th>accept_at<th>escalated<th>accuracy<th>per 1,000 documents\n${rows.join('\n')}</table>`;
}

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:#1f2937}
h1 b{font-weight:700}h1{font-weight:400}
.verdict,.chosen{padding:.6rem 1rem;border-left:4px solid #2563eb;background:#eff6ff}
.verdict.does_not_pay{border-color:#b91c1c;background:#fef2f2}.verdict.cannot_be_judged{border-color:#b45309;background:#fffbeb}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem;align-items:start}
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font-size:11px;fill:#4b5563}.grid{stroke:#e5e7eb}
.legend span{margin-right:1rem}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.15rem .8rem .15rem 0;text-align:left;border-bottom:1px solid #e5e7eb}
`;
