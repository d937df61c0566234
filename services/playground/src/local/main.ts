import { reportFailure } from './failure.ts';
import { start } from './start.ts';

process.exit(await start(process.env, process.argv.slice(2)).catch(reportFailure));
