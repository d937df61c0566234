import { SetupError } from '@spillway/runtime';
import { checkModels, readCheckConfig } from './check-models.ts';
import { tableOf } from './table.ts';

const USAGE = 'npm run check:models [-- --json]';

// Beside the workers, as it does what they do at their start, with their configuration, and asks no API.
try {
  const args = process.argv.slice(2);
  if (args.some((one) => one !== '--json')) throw new SetupError(`expected ${USAGE}`);
  const models = await checkModels(readCheckConfig(process.env), new AbortController().signal);
  const ok = models.every((one) => one.ok);
  const lines = args.includes('--json') ? [JSON.stringify({ ok, models }, null, 2)] : tableOf(models);
  process.stdout.write(`${lines.join('\n')}\n`);
  if (!ok) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`spillway check: ${error.message}\n`);
  process.exitCode = 1;
}
