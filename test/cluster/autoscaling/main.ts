import { execFile } from 'node:child_process';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { startModelServer, type ModelServer } from '../../support/model-server.ts';
import { startRedis, type LoneRedis } from '../../support/redis.ts';
import { until } from '../../support/system.ts';
import { ControlPlane } from './control-plane.ts';
import { Customer } from './customer.ts';
import { DAY, DAY_S, UNSURE_SHARE, type Happening } from './day.ts';
import { Kubernetes } from './kubernetes.ts';
import { PodProcesses } from './pod-processes.ts';
import { readMoment, writeRecord, type Mark, type Moment } from './record.ts';
import { ServiceNames } from './service-names.ts';

const USAGE = 'node test/cluster/autoscaling/main.ts --binaries FOLDER --record FILE [--seconds N]';
const HERE = fileURLToPath(new URL('.', import.meta.url));
const SAMPLE_MS = 2_000;
/** As overlay/spillway.yaml has them. */
const PORTS = { drafter: 18_001, expert: 18_002 };
const LATENCY_MS = { drafter: 1_000, expert: 2_000 };

const run = promisify(execFile);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: { binaries: { type: 'string' }, record: { type: 'string' }, seconds: { type: 'string' } },
});
const { binaries, record: path } = values;
if (binaries === undefined || path === undefined) throw new Error(USAGE);

const ended = new AbortController();
process.once('SIGINT', () => ended.abort(new Error('interrupted')));
process.once('SIGTERM', () => ended.abort(new Error('terminated')));

const directory = await mkdtemp(join(tmpdir(), 'spillway-cluster-'));
say(`logs and files: ${directory}`);

let pods: PodProcesses | null = null;
await using redis = await startRedis();
await using drafterModel = await modelServer('drafter');
await using expertModel = await modelServer('expert');
await using names = new ServiceNames((service, port) => portOf(service, port));
await using plane = await ControlPlane.start({ binaries, directory, proxyUrl: await names.listen() });
say('the control plane is there');
const apiKey = await makeSecrets(plane, redis);
say(await plane.kubectl('apply', '-k', join(HERE, 'overlay')));
const kubernetes = new Kubernetes(plane.origin);
await using processes = new PodProcesses(kubernetes, join(directory, 'pods'), (error) => ended.abort(error));
pods = processes;
await until(async () => {
  ended.signal.throwIfAborted();
  return processes.one('api') !== null && processes.ready('dispatcher') > 0 && processes.ready('drafter') > 0;
}, 180_000);
say('the services are there');
const customer = new Customer(`http://127.0.0.1:${portOf('api', 80)}`, apiKey);
const moments: Moment[] = [];
const marks: Mark[] = [];
await live(Number(values.seconds ?? DAY_S), path);
const account = await customer.account();
const codes = processes.endings.map(({ code, signal }) => code ?? signal);
const summary = {
  ...account,
  drafts: drafterModel.received,
  expertCalls: expertModel.received,
  workersEnded: codes.length,
  endedOtherwise: codes.filter((code) => code !== 0).length,
};
await writeRecord(path, { moments, marks, summary });
say(JSON.stringify(summary));
say(await plane.kubectl('-n', 'spillway', 'get', 'scaledobjects,hpa,deployments'));

/** The day: what happens when it is time, and a look at both tiers every two seconds. */
async function live(seconds: number, record: string): Promise<void> {
  const startedAtMs = performance.now();
  const elapsedS = (): number => (performance.now() - startedAtMs) / 1_000;
  const left = DAY.filter(({ atS }) => atS < seconds);
  const happenings: Promise<void>[] = [];
  while (elapsedS() < seconds) {
    ended.signal.throwIfAborted();
    while (left[0] !== undefined && left[0].atS <= elapsedS()) {
      const next = left.shift() as Happening;
      if (next.label !== '') marks.push({ s: Math.round(elapsedS()), label: next.label });
      happenings.push(happen(next).catch((error: unknown) => ended.abort(error)));
    }
    const moment = await readMoment({ kubernetes, pods: processes }, Math.round(elapsedS()));
    moments.push(moment);
    if (moments.length % 15 === 1) {
      say(JSON.stringify(moment));
      // A run that ends early leaves what it has seen.
      await writeRecord(record, { moments, marks, summary: {} });
    }
    await delay(SAMPLE_MS);
  }
  await Promise.all(happenings);
}

async function happen(happening: Happening): Promise<void> {
  switch (happening.kind) {
    case 'batch':
      return await customer.send(happening.documents, UNSURE_SHARE);
    case 'expert_down':
      return await expertModel.stop();
    case 'expert_up':
      return await expertModel.restart();
    case 'redis_lost':
      return await redis.kill();
    case 'redis_back':
      return await redis.restart({ lose: true });
  }
}

/** Which port of this machine is behind a Service of the manifests. */
function portOf(service: string, port: number): number | null {
  const ready = pods?.one('api')?.lines.find(({ msg }) => msg === 'ready');
  if (ready === undefined) return null;
  if (service === 'api-internal' && port === 9464) return Number(ready['healthPort']);
  return service === 'api' && port === 80 ? Number(ready['port']) : null;
}

async function modelServer(role: 'drafter' | 'expert'): Promise<ModelServer> {
  return await startModelServer({ role, port: PORTS[role], latencyMs: LATENCY_MS[role], record: false });
}

/** What the guide of k8s/ has made before the manifests are applied; the key of the only tenant. */
async function makeSecrets(cluster: ControlPlane, { url }: LoneRedis): Promise<string> {
  await mkdir(join(directory, 'pods'), { recursive: true });
  const keys = join(directory, 'keys.jsonl');
  const main = join(HERE, '../../../services/api/src/keys/main.ts');
  const { stdout } = await run(process.execPath, [main, 'add', '--tenant', 'day', '--file', keys]);
  await cluster.kubectl('apply', '-f', join(HERE, '../../../k8s/base/namespace.yaml'));
  const make = ['-n', 'spillway', 'create', 'secret', 'generic'];
  await cluster.kubectl(...make, 'spillway-keys', `--from-file=keys.jsonl=${keys}`);
  await cluster.kubectl(...make, 'spillway-redis', `--from-literal=REDIS_URL=${url}`);
  return stdout.trim();
}
