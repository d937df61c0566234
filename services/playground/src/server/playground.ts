import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Meters } from '@spillway/runtime';
import { startModelThread } from '../engine/model-thread.ts';
import { loadTokenizer } from '../engine/tokenizer.ts';
import type { PlaygroundConfig } from './config.ts';
import { createPlaygroundServer } from './http-server.ts';
import { createLog } from './log.ts';
import { measuredThread } from './measured-thread.ts';
import { PLAYGROUND_MODELS } from './models.ts';
import type { ServedModel, ServedModels } from './served-model.ts';

/** How many answers a model writes at once: a token takes the drafter 0.05 ms per answer with 8, 0.04 with 16. */
const MAX_ROWS = 16;

/** How long open requests may go on after a signal, before their connections are cut. */
const GRACE_MS = 2000;

async function loadModel(name: string, weights: URL, meters: Meters): Promise<ServedModel> {
  const model = PLAYGROUND_MODELS.get(name);
  if (model === undefined) throw new Error(`there is no model ${name}`);
  const folder = new URL(model.folder, weights);
  const thread = await startModelThread({ name, file: model.file, weights: folder.href, maxRows: MAX_ROWS });
  const tokenizer = loadTokenizer(new URL('tokenizer.json', folder));
  return { thread: measuredThread(thread, meters), tokenizer };
}

async function loadModels({ models, weights }: PlaygroundConfig, meters: Meters): Promise<ServedModels> {
  const loaded = await Promise.all(models.map((name) => loadModel(name, weights, meters)));
  return new Map(loaded.map((served) => [served.thread.name, served]));
}

/** Serves until `stop` is aborted or a model's thread fails; the latter throws. */
export async function runPlayground(config: PlaygroundConfig, stop: AbortSignal): Promise<void> {
  const log = createLog(config.logLevel);
  let models: ServedModels | undefined;
  await using meters = new Meters('playground');
  meters.gauge('gen_ai.server.requests', () =>
    [...(models?.values() ?? [])].map(({ thread }) => [thread.unfinished, { 'gen_ai.request.model': thread.name }]),
  );
  const server = createPlaygroundServer(() => models, { log, meters });
  server.listen(config.port, config.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  log('info', 'listening', { host: config.host, port });
  const stopped = stop.aborted ? Promise.resolve() : once(stop, 'abort');
  const startedAt = performance.now();
  const loading = loadModels(config, meters);
  const loaded = await Promise.race([loading, stopped.then(() => undefined)]);
  if (loaded !== undefined) {
    models = loaded;
    meters.watchLoop();
    log('info', 'ready', { host: config.host, port, loadMs: Math.round(performance.now() - startedAt) });
    const failures = [...loaded.values()].map(({ thread }) => thread.failure);
    const failure = await Promise.race([stopped.then(() => undefined), ...failures]);
    if (failure !== undefined) throw failure;
  }
  log('info', 'stopping');
  setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
  server.close();
  server.closeIdleConnections();
  await once(server, 'close');
  // Threads that are still loading have answered nobody: they end with the process.
  await Promise.all([...(models?.values() ?? [])].map(({ thread }) => thread[Symbol.asyncDispose]()));
  log('info', 'stopped');
}
