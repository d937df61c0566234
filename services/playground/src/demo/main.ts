import { reportFailure } from '../local/failure.ts';
import { runDemo } from './demo.ts';

process.exit(await runDemo(process.env, process.argv.slice(2)).catch(reportFailure));
