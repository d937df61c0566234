import { join, resolve } from 'node:path';
import { EnvReader, loadConfiguration, SetupError, type Env } from '@spillway/runtime';
import type { Configuration } from '@spillway/core';
import { Screen } from '../demo/screen.ts';
import { BatchLines } from './batch-lines.ts';
import { openDataPlace, type DataPlace } from './data.ts';
import { logView } from './log-view.ts';
import { checkPortFree } from './port.ts';
import type { ProcessLine } from './process.ts';
import { findRedisBinary } from './redis-binary.ts';
import { preparePrivateRedis } from './redis-server.ts';
import { playgroundMember, serviceMembers, wantedPlaygrounds } from './services.ts';
import { openSnapshots } from './snapshots.ts';
import { Interrupted, unlessStopped, watchStopSignals } from './stop-signals.ts';
import { System } from './system.ts';
import { writeWelcome } from './welcome.ts';

const HELP = `npm start

Runs Spillway on this machine until Ctrl-C: a Redis of its own, the API, a dispatcher, a drafter, an expert, and the
embedded models when the configuration names them. What it is given is kept in ./.spillway and survives a restart.

  PORT, HOST          where the API listens (8080 on 127.0.0.1)
  SPILLWAY_CONFIG     the YAML file with models and cascades (./spillway.yaml)
  SPILLWAY_DATA_DIR   where everything is kept (./.spillway), or SPILLWAY_STORAGE: file:///… or s3://bucket/prefix
  SPILLWAY_API_KEYS   the file with the keys of those who may use the API (npm run keys -- add --tenant NAME)
  REDIS_URL           a Redis that already runs, instead of one of its own
  LOG_LEVEL           which log lines are shown: silent, fatal, error, warn (default), info, debug, trace
`;

/** As long as the services take to finish their calls in flight, and some seconds to write the results. */
const MAX_STOP_MS = 35_000;

/** Results go to standard output, beside the line that is written over; what is wrong to standard error. */
type Output = {
  readonly screen: Screen;
  readonly say: (line: string) => void;
  readonly warn: (line: string) => void;
};

function openOutput(): Output {
  const screen = new Screen(process.stdout);
  return {
    screen,
    say: (line) => screen.line(line),
    warn: (line) => {
      screen.clear();
      process.stderr.write(`${line}\n`);
    },
  };
}

/** Runs a system until it is asked to stop; answers the exit code. */
export async function start(env: Env, args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (args.length > 0)
    throw new SetupError(`unknown option ${args[0]}; it is configured by env, see npm start -- --help`);
  const { configPath, configuration, api } = readSettings(env);
  const { screen, say, warn } = openOutput();
  using batches = new BatchLines(screen);
  const view = logView(env, warn);
  const onLine = (line: ProcessLine): void => {
    view(line);
    batches.see(line);
  };
  const system = new System({ onDeath: 'restart', tell: warn, onLine, stopLimitMs: MAX_STOP_MS });
  using stop = watchStopSignals(() => {
    system.kill();
    warn('Ended at once; the work in flight goes on with the next npm start.');
    process.exit(1);
  });
  try {
    const data = await openDataPlace(env);
    await checkPorts(api, configuration);
    const plan = { env, configPath, configuration, api, data, say, signal: stop.signal };
    const redisUrl = await unlessStopped(stop.signal, bringUp(system, plan));
    await using snapshots = process.stdout.isTTY ? await openSnapshots(redisUrl, env) : null;
    if (snapshots !== null) batches.watch(snapshots.read);
    await writeWelcome(say, { api, configuration, data, withKeys: (env['SPILLWAY_API_KEYS'] ?? '') !== '' });
    await unlessStopped(stop.signal, new Promise<never>(() => undefined));
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say(
      '\nStopping: calls in flight are finished, the rest goes on with the next npm start (Ctrl-C again ends at once).',
    );
  } finally {
    await system.stop();
  }
  return 0;
}

type Settings = {
  readonly configPath: string;
  readonly configuration: Configuration;
  readonly api: { readonly host: string; readonly port: number };
};

function readSettings(env: Env): Settings {
  const configPath = resolve(env['SPILLWAY_CONFIG'] ?? 'spillway.yaml');
  const reader = new EnvReader({ ...env, SPILLWAY_CONFIG: configPath });
  const configuration = loadConfiguration(reader);
  const api = {
    host: reader.text('HOST') ?? '127.0.0.1',
    port: reader.integer('PORT', { fallback: 8080, min: 1, max: 65_535 }),
  };
  reader.check();
  if (configuration === null) throw new SetupError(`${configPath} cannot be read`);
  return { configPath, configuration, api };
}

async function checkPorts(api: { host: string; port: number }, configuration: Configuration): Promise<void> {
  const another = api.port === 8080 ? 8090 : 8080;
  await checkPortFree(api.host, api.port, `stop what listens there, or choose another one: PORT=${another} npm start`);
  for (const { port } of wantedPlaygrounds(configuration)) {
    await checkPortFree(
      '127.0.0.1',
      port,
      'the embedded models listen there: stop what holds it, or put another port into their base_url in the YAML file',
    );
  }
}

type Plan = Settings & {
  readonly env: Env;
  readonly data: DataPlace;
  readonly say: Output['say'];
  readonly signal: AbortSignal;
};

/** Starts all; the address of Redis. */
async function bringUp(system: System, plan: Plan): Promise<string> {
  const { env, configPath, configuration, api, data, signal } = plan;
  const playgrounds = wantedPlaygrounds(configuration).map(({ port, models }) => playgroundMember(env, port, models));
  const others = async (): Promise<string> => {
    const redisUrl = (env['REDIS_URL'] ?? '') || (await startRedis(system, plan));
    signal.throwIfAborted();
    const surroundings = { env, configPath, configuration, redisUrl, storage: data.storage };
    await Promise.all(serviceMembers(surroundings, api).map((member) => system.start(member)));
    return redisUrl;
  };
  const [redisUrl] = await Promise.all([others(), ...playgrounds.map((member) => system.start(member))]);
  return redisUrl;
}

async function startRedis(system: System, { env, data, say, signal }: Plan): Promise<string> {
  const binary = await findRedisBinary({ env, tell: say, signal });
  const redis = await preparePrivateRedis(join(data.directory, 'redis'), binary);
  await system.start(redis.member);
  return redis.url;
}
