import { writeFileSync } from 'node:fs';
import { ApiClient, UserError } from '../client.ts';
import { calibrate } from './calibrate.ts';
import { readOptions } from './options.ts';
import { formatsText, reportPage } from './page.ts';

const tell = (line: string): void => void process.stdout.write(`${line}\n`);

try {
  const options = readOptions(process.argv.slice(2));
  const { report, artefact, path } = await calibrate(new ApiClient(process.env), options, { tell, now: new Date() });
  const stem = path.replace(/\.json$/, '');
  writeFileSync(`${stem}.report.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${stem}.report.html`, reportPage(report));
  if (artefact !== null) writeFileSync(path, `${JSON.stringify(artefact, null, 2)}\n`);
  const { verdict, after, gain } = report.judgement;
  tell(`${verdict.kind.replaceAll('_', ' ')}: ${verdict.why}`);
  if (gain.value !== null) tell(`gain ${gain.value.toFixed(3)}, ECE ${after.ece.toFixed(3)} on unseen drafts`);
  tell(`made with the model server ${report.made_with.server}; ${formatsText(report)}`);
  const { chosen } = report;
  tell(
    chosen === null
      ? `no threshold reaches ${report.wish}`
      : `accept_at: ${chosen.accept_at} for ${report.wish}: ${(100 * chosen.escalated).toFixed(1)} % escalated, accuracy ${(100 * chosen.accuracy).toFixed(1)} %`,
  );
  if (chosen?.escalated === 1) tell('it accepts nothing: the drafts would only cost; a lower --accuracy accepts some');
  tell(`wrote ${artefact === null ? '' : `${path}, `}${stem}.report.html and ${stem}.report.json`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`spillway calibrate: ${error.message}\n`);
  process.exitCode = 1;
}
