import { openContext } from './context.ts';
import { runCommand } from './program.ts';

process.exitCode = await runCommand(process.argv.slice(2), openContext(process.env));
