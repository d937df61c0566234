import { keepYoungGenerationSmall, runService } from '@spillway/runtime';
import { readConfig } from './config.ts';
import { startApi } from './service.ts';

keepYoungGenerationSmall();
await runService('api', process.env, (life) => startApi(readConfig(process.env), life));
