import { keepYoungGenerationSmall, runService } from '@spillway/runtime';
import { readConfig } from './config.ts';
import { runDispatcher } from './dispatcher.ts';

keepYoungGenerationSmall();
await runService('dispatcher', process.env, (life) => runDispatcher(readConfig(process.env), life));
