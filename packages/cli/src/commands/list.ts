import { z } from 'zod';
import type { Command } from 'commander';
import { count, dollars, perSecond, range, seconds } from '@spillway/core/amounts';
import { promiseMark } from '../batch/promise-text.ts';
import { batchObject, type BatchObject } from '../batch/report-object.ts';
import type { Context } from '../context.ts';
import { tableOf } from '../table.ts';
import { wholeNumber } from './options.ts';

const PAGE = 100;
const MANY = 100_000;

const listObject = z.object({ data: z.array(z.unknown()), has_more: z.boolean() });

const HEADINGS = [
  { title: 'batch' },
  { title: 'status' },
  { title: 'cascade' },
  { title: 'done', isNumber: true },
  { title: 'of', isNumber: true },
  { title: 'failed', isNumber: true },
  { title: 'rate', isNumber: true },
  { title: 'left', isNumber: true },
  { title: 'spent', isNumber: true },
  { title: 'age', isNumber: true },
  { title: 'promise' },
  { title: 'name' },
];

export function addList(program: Command, { terminal, api }: Context): void {
  program
    .command('list')
    .description('list batches, newest first')
    .option('-n, --limit <count>', 'how many', wholeNumber(1, MANY), 20)
    .option('--json', 'the batch objects, one a line')
    .action(async ({ limit, json }: { limit: number; json?: true }) => {
      const sent = await readBatches(api(), limit);
      if (json) return sent.forEach((batch) => terminal.out(JSON.stringify(batch)));
      if (sent.length === 0) return terminal.say('There is no batch yet: spillway run makes one.');
      const [head = '', ...rows] = tableOf(
        HEADINGS,
        sent.map((one) => rowOf(batchObject.parse(one), Date.now())),
      );
      terminal.out(terminal.paint('bold', head));
      for (const row of rows) terminal.out(row);
    });
}

async function readBatches(api: ReturnType<Context['api']>, limit: number): Promise<unknown[]> {
  const batches: unknown[] = [];
  for (let after = ''; batches.length < limit;) {
    const query = `limit=${Math.min(PAGE, limit - batches.length)}${after === '' ? '' : `&after=${after}`}`;
    const { data, has_more: hasMore } = listObject.parse(await api.get(`/batches?${query}`));
    batches.push(...data);
    if (!hasMore || data.length === 0) break;
    after = encodeURIComponent(batchObject.pick({ id: true }).parse(data.at(-1)).id);
  }
  return batches;
}

function rowOf({ id, status, model, request_counts: counts, ...batch }: BatchObject, nowMs: number): string[] {
  const { documents_per_second: rate, left_seconds: left, spent_usd: spent } = batch.spillway.progress;
  const isMoving = status === 'in_progress';
  return [
    id,
    batch.spillway.waiting.length > 0 ? `${status} (${batch.spillway.waiting[0]?.state ?? ''})` : status,
    model ?? '',
    count(counts.completed + counts.failed),
    count(counts.total),
    count(counts.failed),
    isMoving && rate !== null ? perSecond(rate) : '',
    isMoving && left !== null ? range(seconds(left.low), seconds(left.high)) : '',
    spent === null ? '' : dollars(spent),
    seconds(Math.max(0, nowMs / 1000 - batch.created_at)),
    promiseMark(batch.spillway),
    batch.metadata?.['name'] ?? '',
  ];
}
