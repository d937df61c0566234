import { count, counted, dollars, percent, perSecond, range, seconds } from '@spillway/core/amounts';
import type { BatchReport } from './report-object.ts';

type Paint = (format: 'bold' | 'green' | 'yellow' | 'red' | 'dim', text: string) => string;

const BAR_CELLS = 30;
const WORDS: Readonly<Record<string, string>> = {
  validating: 'the file is being validated',
  finalizing: 'the last results are being stored',
  cancelling: 'it is being cancelled',
};

const doneOf = ({ documents: { completed, failed } }: BatchReport): number => completed + failed;

/** How far a batch is, on some lines for a terminal; the first one fits one line by itself. */
export function progressLines(report: BatchReport, paint: Paint, nowMs: number): string[] {
  const { documents, status, progress } = report;
  const done = doneOf(report);
  const word = WORDS[status];
  const head =
    documents.total === 0
      ? `${paint('dim', '░'.repeat(BAR_CELLS))} ${word ?? status}`
      : [`${bar(report, paint)} ${paint('bold', progressWords(report))}`, ...(word === undefined ? [] : [word])].join(
          '  ',
        );
  const tiers = tierWords(report);
  const money = moneyWords(progress);
  const second = [tiers, money].filter((part) => part !== '').join('  ·  ');
  return [
    head,
    ...(second === '' || done === 0 ? [] : [`  ${second}`]),
    ...(progress.at_risk === true ? [paint('red', '  its window will probably be missed')] : []),
    ...holdLines(report, nowMs).map((line) => paint('yellow', `  ${line}`)),
  ];
}

/** `512 of 1,000 documents (51 %) · 24.6/s · 20–48 min left`. */
export function progressWords(report: BatchReport): string {
  const { documents, status, progress } = report;
  if (documents.total === 0) return WORDS[status] ?? status;
  const done = doneOf(report);
  const left = progress.left_seconds;
  const isMoving = status === 'in_progress';
  return [
    `${count(done)} of ${counted(documents.total, 'document')} (${percent(done / documents.total)})`,
    ...(isMoving && progress.documents_per_second !== null ? [perSecond(progress.documents_per_second)] : []),
    ...(isMoving && left !== null ? [`${range(seconds(left.low), seconds(left.high))} left`] : []),
  ].join(' · ');
}

/** Whose answers the settled documents have. */
function tierWords({ stages, documents }: BatchReport): string {
  const parts = stages.flatMap(({ model, documents: { accepted, answered } }) =>
    accepted + answered === 0 ? [] : [`${model} ${count(accepted + answered)}`],
  );
  const failed = documents.failed === 0 ? [] : [`failed ${count(documents.failed)}`];
  return [...parts, ...failed].join(' · ');
}

function moneyWords({ spent_usd: spent, projected_usd: projected }: BatchReport['progress']): string {
  if (spent === null) return '';
  const inAll = projected === null ? '' : `, ${range(dollars(projected.low), dollars(projected.high))} in all`;
  return `${dollars(spent)} spent${inAll}`;
}

/** Why documents do not move, and what somebody should look at. */
export function holdLines({ waiting, warnings }: BatchReport, nowMs: number): string[] {
  return [
    ...waiting.map(({ tier, state, since, reason }) => {
      const forLong = since === null ? '' : `, for ${seconds(Math.max(0, nowMs / 1000 - since))}`;
      return `${tier === null ? 'all of it' : tier} waits (${state}): ${reason}${forLong}`;
    }),
    ...warnings.map(({ message }) => message),
  ];
}

/** The done part of a bar, accepted drafts and the answers of later stages told apart. */
function bar({ documents, stages }: BatchReport, paint: Paint): string {
  const { total, completed, failed } = documents;
  const escalated = stages
    .filter(({ stage }) => stage > 1)
    .reduce((sum, { documents: { accepted, answered } }) => sum + accepted + answered, 0);
  const cells = (value: number): number => Math.floor((BAR_CELLS * Math.min(value, total)) / total);
  const done = cells(completed + failed);
  const later = Math.min(done, cells(escalated));
  const bad = Math.min(done - later, cells(failed));
  return [
    paint('green', '█'.repeat(done - later - bad)),
    paint('yellow', '▓'.repeat(later)),
    paint('red', '▒'.repeat(bad)),
    paint('dim', '░'.repeat(BAR_CELLS - done)),
  ].join('');
}

/** What became of a batch, in one line. */
export function endWords(report: BatchReport): string {
  const { id, status, documents, progress } = report;
  const missing = documents.total - documents.completed;
  const parts = [
    `${id} ${status === 'completed' ? 'is completed' : `ended as ${status}`}`,
    `${count(documents.completed)} of ${counted(documents.total, 'document')} answered`,
    ...(missing === 0 ? [] : [`${count(missing)} without an answer`]),
    ...(report.escalated_share === null ? [] : [`${percent(report.escalated_share)} escalated`]),
    ...(progress.spent_usd === null ? [] : [`${dollars(progress.spent_usd)} spent`]),
    ...(progress.elapsed_seconds === null ? [] : [`in ${seconds(progress.elapsed_seconds)}`]),
  ];
  return parts.join(' · ');
}
