import { runService } from '@spillway/runtime';
import { readConfig } from './config.ts';
import { runExpert } from './expert.ts';

await runService('expert', process.env, (life) => runExpert(readConfig(process.env), life));
