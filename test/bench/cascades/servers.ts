import { DEMO } from '../../../services/playground/src/demo/cascade.ts';
import { startPlayground } from '../../support/playground.ts';
import { System } from '../../support/system.ts';
import type { Stats } from '../gpu/server.ts';
import { startGpu } from '../processes.ts';
import { PRODUCTION } from '../service.ts';
import type { ChatModel } from './chat.ts';
import type { Options, Place } from './options.ts';
import { cascadeName, type Way } from './ways.ts';
import { WORK } from './work.ts';

/** The models of a place, and how many calls of each are in flight, whoever makes them. */
export type Servers = AsyncDisposable & {
  readonly place: Place;
  readonly drafter: ChatModel;
  readonly expert: ChatModel;
  readonly concurrency: number;
  /** Makes all rounds begin alike: with nothing in the prefix caches of GPU-like servers. */
  reset: () => Promise<void>;
  /** What the GPU-like servers did since they were asked last; null: there are none. */
  takeStats: () => Promise<{ readonly drafter: Stats; readonly expert: Stats } | null>;
};

/** The playground writes 16 answers at a time; a GPU's batch has more places than a tier would have calls in flight. */
const CONCURRENCY: Readonly<Record<Place, number>> = { embedded: DEMO.drafter.concurrency, gpu: 64 };

const SPECS = { drafter: 'llama-8b-h100', expert: 'llama-70b-4xh100' } as const;

/** The embedded pair as a process of its own, and for `gpu` two servers before it that take the time of GPUs. */
export async function startServers(place: Place, { speed, scale, work }: Options): Promise<Servers> {
  const { models } = WORK[work];
  await using started = new AsyncDisposableStack();
  const playground = started.use(startPlayground(Object.values(models)));
  const { port } = await playground.waitFor('ready');
  const baseURL = `http://127.0.0.1:${port}/v1`;
  const common = { place, concurrency: CONCURRENCY[place] };
  const model = (role: 'drafter' | 'expert', url: string): ChatModel => ({ baseURL: url, model: models[role] });
  if (place === 'embedded') {
    const running = started.move();
    return {
      ...common,
      drafter: model('drafter', baseURL),
      expert: model('expert', baseURL),
      reset: () => Promise.resolve(),
      takeStats: () => Promise.resolve(null),
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  }
  const env = { REPLAY: baseURL, SCALE: String(scale), SPEED: String(speed) };
  const drafter = started.use(await startGpu({ ...env, SPEC: SPECS.drafter }));
  const expert = started.use(await startGpu({ ...env, SPEC: SPECS.expert }));
  const statsOf = async (at: number): Promise<Stats> =>
    (await (await fetch(`http://127.0.0.1:${at}/stats`)).json()) as Stats;
  const running = started.move();
  return {
    ...common,
    drafter: model('drafter', drafter.baseURL),
    expert: model('expert', expert.baseURL),
    reset: async () => {
      for (const { port: at } of [drafter, expert])
        await fetch(`http://127.0.0.1:${at}/reset_prefix_cache`, { method: 'POST' });
    },
    takeStats: async () => ({ drafter: await statsOf(drafter.port), expert: await statsOf(expert.port) }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The whole service, one process of each, with a cascade for every way that is one. */
export async function startService(servers: Servers, ways: readonly Way[]): Promise<System> {
  const spec = (role: 'drafter' | 'expert') => {
    const { baseURL, model } = servers[role];
    const { price } = DEMO[role];
    return { base_url: baseURL, model, price, concurrency: servers.concurrency, timeout_s: 600 };
  };
  const cascades = ways.flatMap((way) =>
    way.kind === 'cascade' ? [`  ${cascadeName(way)}: ${yamlOf(way.spec)}`] : [],
  );
  const system = await System.create({
    models: { small: spec('drafter'), large: spec('expert') },
    moreCascades: cascades.join('\n'),
    env: PRODUCTION,
  });
  try {
    await Promise.all((['api', 'dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name)));
    await system.admitted();
    return system;
  } catch (error) {
    await system[Symbol.asyncDispose]();
    throw error;
  }
}

/** JSON is YAML, too. */
const yamlOf = (spec: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ drafter: 'small', expert: 'large', accept_at: DEMO.acceptAt, ...spec });
