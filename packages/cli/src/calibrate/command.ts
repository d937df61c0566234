import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { calibrate } from './calibrate.ts';
import { readOptions, resumed, USAGE } from './options.ts';
import { formatsText, reportPage } from './page.ts';
import type { CalibrationReport } from './report.ts';
import { rowText } from './verdict.ts';

const tell = (line: string): void => void process.stdout.write(`${line}\n`);

/** The sample is paid for, whoever looks at it. */
function drawn(sample: string, args: readonly string[]): void {
  process.once('SIGINT', () => {
    tell(`\n${sample} goes on (POST /v1/batches/${sample}/cancel stops it). When it has ended, without paying again:`);
    tell(resumed(args, sample));
    process.exit(130);
  });
  tell(`The sample is ${sample}. Ctrl-C stops looking at it, and it goes on.`);
}

/** The verdict and what to set, as lines. */
function linesOf({ judgement, made_with: made, ...report }: CalibrationReport): string[] {
  const { verdict, after, auroc, gain, wish, chosen } = judgement;
  const measures = [
    ...(gain.value === null ? [] : [`gain ${gain.value.toFixed(3)}`]),
    ...(auroc.value === null ? [] : [`AUROC ${auroc.value.toFixed(3)}`]),
    `ECE ${after.ece.toFixed(3)} on unseen drafts`,
  ];
  const set = verdict.recommended ?? (verdict.kind === 'drafter_only' ? chosen : null);
  const wished =
    wish === null
      ? ['no threshold is recommended: --accuracy SHARE chooses the one whose accepted drafts are so often right']
      : [`for ${wish}: ${chosen === null ? 'no threshold reaches it' : rowText(chosen)}`];
  return [
    `${verdict.kind.replaceAll('_', ' ')}: ${verdict.why}`,
    measures.join(', '),
    `made with the model server ${made.server}; ${formatsText({ made_with: made })}`,
    ...wished,
    ...(set === null
      ? []
      : [`${report.field === undefined ? '' : `fields, ${report.field}: `}accept_at: ${set.accept_at}`]),
    ...(report.sample === null ? [] : [`look again at this sample, without a call: --from ${report.sample}`]),
  ];
}

export function addCalibrate(program: Command, { api }: Context): void {
  program
    .command('calibrate')
    .description('calibrate a stage by an ended batch, and say which threshold pays')
    .usage('--batch ID --sample N | --batch ID --labels FILE | --from SAMPLE')
    .argument('[arguments...]')
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText('after', `\n${USAGE}`)
    .action(async (args: readonly string[]) => run(args, api()));
}

async function run(args: readonly string[], api: ApiClient): Promise<void> {
  const told = { tell, drawn: (sample: string) => drawn(sample, args), now: new Date() };
  const { report, artefact, path } = await calibrate(api, readOptions(args), told);
  const stem = path.replace(/\.json$/, '');
  writeFileSync(`${stem}.report.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${stem}.report.html`, reportPage(report));
  if (artefact !== null) writeFileSync(path, `${JSON.stringify(artefact, null, 2)}\n`);
  for (const line of linesOf(report)) tell(line);
  tell(`wrote ${artefact === null ? '' : `${path}, `}${stem}.report.html and ${stem}.report.json`);
}
