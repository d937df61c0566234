import { setTimeout as delay } from 'node:timers/promises';
import type { ProxyMode } from '../support/fault-proxy.ts';
import type { Fleet } from './fleet.ts';
import { dribble, flood } from './hostile-clients.ts';
import { NO_INNER_FAULTS, type InnerFaults } from './inner-faults.ts';
import type { Fault, FaultKind } from './schedule.ts';
import type { ModelFault } from './scripted-model.ts';

type Of<Kind extends FaultKind> = Fault & { readonly kind: Kind };

/** Undoes a fault. */
type Heal = () => Promise<void> | void;

/** Does a fault to a fleet; what comes back undoes it, after the fault's own duration. */
type Inflict<Kind extends FaultKind> = (fleet: Fleet, fault: Of<Kind>) => Promise<Heal>;

const nothing: Heal = () => undefined;

const answerOf = (status: string, body: string): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

const GATEWAY = answerOf('502 Bad Gateway', '<h1>502 Bad Gateway</h1>');
const S3_FULL = answerOf('503 Slow Down', '<Error><Code>SlowDown</Code></Error>');
const S3_FAILING = answerOf('500 Internal Server Error', '<Error><Code>InternalError</Code></Error>');

type ModelKind = Extract<FaultKind, `model_${string}`>;

/** By what stands between a model server and its workers. */
function network(mode: ProxyMode, silences = false): Inflict<ModelKind> {
  return async (fleet, { model }) => {
    const proxy = fleet.proxyOf(model);
    if (silences) proxy.silence();
    await proxy.set(mode);
    return () => proxy.set({ kind: 'pass' });
  };
}

/** By what a model server itself answers. */
function behaviour(faultOf: (fault: Of<ModelKind>) => ModelFault): Inflict<ModelKind> {
  return (fleet, fault) => {
    const model = fleet.models[fault.model];
    model.fail(faultOf(fault));
    return Promise.resolve(() => model.heal());
  };
}

function statusOf(fault: Of<ModelKind>): ModelFault {
  const status = fault.kind === 'model_status' ? fault.status : 500;
  const headers = status === 429 || status === 503 ? { headers: { 'retry-after': '1' } } : {};
  return { kind: 'answer', scripted: { kind: 'status', status, ...headers } };
}

function redisNetwork(modeOf: (fault: Fault) => ProxyMode): (fleet: Fleet, fault: Fault) => Promise<Heal> {
  return async (fleet, fault) => {
    const { redis } = fleet.system.proxies;
    await redis.set(modeOf(fault));
    return () => redis.set({ kind: 'pass' });
  };
}

/** Down at once, up again on what it still has. */
function redisDown(options: (fault: Fault) => { lose?: boolean; loseBytes?: number }) {
  return async (fleet: Fleet, fault: Fault): Promise<Heal> => {
    await fleet.redis.kill();
    return () => fleet.redis.restart(options(fault));
  };
}

/** The storage of whoever writes: by the process itself for a directory, by the network for S3. */
function storage(ofDirectory: (fault: Fault) => InnerFaults['storage'], ofS3: (fault: Fault) => ProxyMode) {
  return async (fleet: Fleet, fault: Fault): Promise<Heal> => {
    if (fleet.bucket !== null) {
      const { proxy } = fleet.bucket;
      await proxy.set(ofS3(fault));
      return () => proxy.set({ kind: 'pass' });
    }
    const writers = [...fleet.of('api'), ...fleet.of('dispatcher')];
    const all = (now: InnerFaults['storage']): void => {
      for (const slot of writers) slot.disturb({ storage: now });
    };
    all(ofDirectory(fault));
    return () => all(NO_INNER_FAULTS.storage);
  };
}

const everyOf = (fault: Fault): number => ('every' in fault ? fault.every : 1);
const delayOf = (fault: Fault): number => ('delayMs' in fault ? fault.delayMs : 100);

const INFLICTIONS: { readonly [Kind in Exclude<FaultKind, 'cancel'>]: Inflict<Kind> } = {
  kill: async (fleet, { process }) => {
    const slot = fleet.slot(process);
    await slot.kill();
    return () => slot.start();
  },
  terminate: async (fleet, { process }) => {
    const slot = fleet.slot(process);
    await slot.terminate();
    return () => slot.start();
  },
  freeze: async (fleet, { process }) => {
    const slot = fleet.slot(process);
    slot.freeze();
    return () => slot.thaw();
  },
  clock: (fleet, { process, byMs }) => {
    const slot = fleet.slot(process);
    slot.disturb({ clockMs: byMs });
    return Promise.resolve(() => slot.disturb({ clockMs: 0 }));
  },
  die_at: (fleet, { moment }) => {
    const all = (dieAt: string | null): void => {
      for (const slot of fleet.of('dispatcher')) slot.disturb({ dieAt });
    };
    all(moment);
    return Promise.resolve(() => all(null));
  },
  client_flood: async (fleet, { process }) => {
    const { origin } = fleet.slot(process);
    if (origin !== null) await flood(origin, fleet.keyOf('two'));
    return nothing;
  },
  client_dribble: (fleet, { process }) => {
    const { origin } = fleet.slot(process);
    return Promise.resolve(origin === null ? nothing : dribble(origin, fleet.keyOf('two')));
  },
  rolling_restart: async (fleet) => {
    await fleet.restartInTurn();
    return nothing;
  },
  redis_wiped: async (fleet) => {
    await fleet.redis.client.flushall();
    return nothing;
  },
  redis_moved: async (fleet) => {
    fleet.system.proxies.redis.silence();
    return nothing;
  },
  redis_reset: redisNetwork(() => ({ kind: 'reset' })),
  redis_stalled: redisNetwork(() => ({ kind: 'stall' })),
  redis_slow: redisNetwork((fault) => ({ kind: 'delay', delayMs: delayOf(fault) })),
  redis_restarted: redisDown(() => ({})),
  redis_emptied: redisDown(() => ({ lose: true })),
  redis_tail_lost: redisDown((fault) => ({ loseBytes: 'bytes' in fault ? fault.bytes : 0 })),
  redis_frozen: async (fleet) => {
    fleet.redis.freeze();
    return () => fleet.redis.thaw();
  },
  storage_full: storage(
    (fault) => ({ kind: 'full', every: everyOf(fault) }),
    () => ({ kind: 'answer', text: S3_FULL }),
  ),
  storage_failing: storage(
    (fault) => ({ kind: 'failing', every: everyOf(fault) }),
    () => ({ kind: 'answer', text: S3_FAILING }),
  ),
  storage_slow: storage(
    (fault) => ({ kind: 'slow', delayMs: delayOf(fault) }),
    (fault) => ({ kind: 'delay', delayMs: delayOf(fault) }),
  ),
  model_status: behaviour(statusOf),
  model_garbage: behaviour(() => ({ kind: 'answer', scripted: { kind: 'raw', body: '<html>It works!</html>' } })),
  model_hanging: behaviour(() => ({ kind: 'hanging' })),
  model_dead: (fleet, { model, forMs }) => {
    const away = fleet.bringDown(model, forMs);
    return Promise.resolve(() => away);
  },
  model_half_open: network({ kind: 'black_hole' }, true),
  model_gateway: network({ kind: 'answer', text: GATEWAY }),
  model_terminating: network({ kind: 'terminate' }),
  model_slow: network({ kind: 'delay', delayMs: 400 }),
  model_stalled: network({ kind: 'stall' }),
  model_reset: network({ kind: 'reset' }),
  model_moved: async (fleet, { model }) => {
    fleet.proxyOf(model).silence();
    return nothing;
  },
};

/** Faults after which a model call may have failed while another one was answered. */
export const isOfAModel = ({ kind }: Fault): boolean => kind.startsWith('model_');

/** Does a fault, for as long as it lasts; resolves when it is over. */
export async function inflict(fleet: Fleet, fault: Exclude<Fault, { readonly kind: 'cancel' }>): Promise<void> {
  const act = INFLICTIONS[fault.kind] as Inflict<FaultKind>;
  const heal = await act(fleet, fault);
  await delay('forMs' in fault ? fault.forMs : 0);
  await heal();
}
