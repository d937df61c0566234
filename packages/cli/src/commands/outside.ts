import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

/** Commands for operators, that read the configuration of this machine and ask no API: programs of their own. */
const PROGRAMS = [
  ['check', 'ask every model of spillway.yaml what it can do (--json)', '../../../worker/src/check/main.ts'],
  [
    'keys',
    'the keys of the API: keys add --tenant NAME, keys list, keys remove --tenant NAME',
    '../../../../services/api/src/keys/main.ts',
  ],
] as const;

export function addOutside(program: Command): void {
  for (const [name, description, path] of PROGRAMS) {
    program
      .command(name)
      .description(description)
      .argument('[arguments...]', 'what the program takes')
      .allowUnknownOption()
      .passThroughOptions()
      .action(async (args: readonly string[]) => {
        process.exitCode = await runProgram(fileURLToPath(new URL(path, import.meta.url)), args);
      });
  }
}

async function runProgram(script: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
  // The terminal's signals reach the program by themselves, and it decides.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
