import { runService } from '@spillway/runtime';
import { readConfig } from './config.ts';
import { runDrafter } from './drafter.ts';

await runService('drafter', process.env, (life) => runDrafter(readConfig(process.env), life));
