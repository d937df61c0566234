// The ways of answering with a drafter and an expert, compared on the same documents:
//   npm run bench:cascades [-- --documents 1000] [--rounds 3] [--seed 1] [--on embedded,gpu] [--only "verify; stop early"]
//     [--work documents|orders] [--speed 1] [--scale 11] [--json] [--out DIR]
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { measurePlace, waysOf, type PlaceMeasured } from './measure.ts';
import { OptionError, readOptions, type Options } from './options.ts';
import { filesOf, said, type Measured } from './report.ts';

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

/** All that was measured so far: what fails later, or is ended, loses none of it. */
function write(folder: string, measured: Measured): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(filesOf(measured))) writeFileSync(join(folder, name), content);
}

async function run(options: Options): Promise<void> {
  waysOf(options);
  const machine = {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
    startedAt: new Date().toISOString(),
  };
  const places: PlaceMeasured[] = [];
  for (const place of options.on) {
    tell(`${place}: begins`);
    const measured = await measurePlace(place, options, {
      tell: (line) => tell(`${place}: ${line}`),
      onRound: (soFar) => {
        if (options.out !== null) write(options.out, { machine, options, places: [...places, soFar] });
      },
    });
    places.push(measured);
  }
  process.stdout.write(said({ machine, options, places }));
}

try {
  await run(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof OptionError)) throw error;
  process.stderr.write(`bench:cascades: ${error.message}\n`);
  process.exitCode = 2;
}
