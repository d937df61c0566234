import type { Command } from 'commander';
import { reportLines } from '../batch/report-text.ts';
import { readReport } from '../batch/watch.ts';
import type { Context } from '../context.ts';

export function addReport(program: Command, { terminal, api }: Context): void {
  program
    .command('report <batch>')
    .description('what a batch did at each stage, why drafts were escalated, what it took and cost')
    .option('--json', 'the report as the API sends it')
    .action(async (id: string, { json }: { json?: true }) => {
      const { sent, report } = await readReport(api(), id);
      if (json) terminal.out(JSON.stringify(sent));
      else for (const line of reportLines(report, terminal.paint)) terminal.out(line);
    });
}
