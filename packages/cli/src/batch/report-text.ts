import { count, dollars, percent, seconds } from '@spillway/core/amounts';
import { tableOf } from '../table.ts';
import { isInDoubt, promiseLines } from './promise-text.ts';
import { endWords, holdLines, progressWords } from './progress-text.ts';
import { isEnded, type BatchReport } from './report-object.ts';

type Paint = (format: 'bold' | 'yellow', text: string) => string;

const STAGES = [
  { title: 'stage', isNumber: true },
  { title: 'cascade' },
  { title: 'model' },
  { title: 'role' },
  { title: 'final', isNumber: true },
  { title: 'escalated', isNumber: true },
  { title: 'skipped', isNumber: true },
  { title: 'failed', isNumber: true },
  { title: 'cost', isNumber: true },
  { title: 'why escalated' },
];

/** A report for people. */
export function reportLines(report: BatchReport, paint: Paint, nowMs = Date.now()): string[] {
  const { documents } = report;
  const head = isEnded(report) ? endWords(report) : `${report.id} · ${report.status} · ${progressWords(report)}`;
  const [title = '', ...rows] = tableOf(STAGES, report.stages.map(stageRow));
  return [
    paint('bold', head),
    ...holdLines(report, nowMs).map((line) => paint('yellow', line)),
    ...promiseLines(report).map((line) => (isInDoubt(report) ? paint('yellow', line) : line)),
    ...(rows.length === 0 ? [] : ['', paint('bold', title), ...rows]),
    ...(documents.kept === 0
      ? []
      : [
          `${count(documents.kept)} answers were kept from the batch that this one was decided anew from; all else here is of the others`,
        ]),
    ...(documents.copied === 0 ? [] : [`${count(documents.copied)} copies were answered without a call`]),
    ...failureLines(report),
    '',
    ...moneyLines(report),
    ...waitLines(report),
  ];
}

function stageRow({ stage, cascade, model, role, documents, usd, reasons }: BatchReport['stages'][number]): string[] {
  return [
    String(stage),
    cascade,
    model,
    role,
    count(documents.accepted + documents.answered),
    count(documents.escalated),
    count(documents.skipped),
    count(documents.failed),
    dollars(usd),
    reasons.map((one) => `${one.reason} ${count(one.count)}`).join(', '),
  ];
}

function failureLines({ failures }: BatchReport): string[] {
  if (failures.length === 0) return [];
  return [
    '',
    'without an answer:',
    ...failures.map(
      ({ status, code, count: many, said }) =>
        `  ${count(many)} × ${status ?? code ?? 'unknown'}${said === null ? '' : `: ${said}`}`,
    ),
  ];
}

function moneyLines({ progress, counterfactuals: { cascade, all_expert: expert } }: BatchReport): string[] {
  if (progress.spent_usd === null) return ['money: the models have no prices'];
  if (cascade.usd === 0 && expert.usd === 0) return [`money: ${dollars(progress.spent_usd)} so far`];
  const by = expert.usd === 0 ? 0 : cascade.usd / expert.usd - 1;
  const beside =
    expert.usd === 0 || Math.abs(by) < 0.01 ? '' : ` (${percent(Math.abs(by))} ${by < 0 ? 'less' : 'MORE'})`;
  return [`money: ${dollars(cascade.usd)}, all by the expert ${dollars(expert.usd)}${beside}`];
}

function waitLines({ latency_ms: { accepted, escalated } }: BatchReport): string[] {
  const wait = (name: string, { p50, p95 }: typeof accepted): string[] =>
    p50 === null || p95 === null
      ? []
      : [`${name}: median ${shown(p50)}, p95 ${shown(p95)}, from enqueueing to the answer`];
  return [...wait('accepted', accepted), ...wait('escalated', escalated)];
}

const shown = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : seconds(ms / 1_000));
