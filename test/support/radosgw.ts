import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { install } from './packages.ts';
import { freePort } from './redis.ts';

/** A real S3 server of the test's own. */
export type Radosgw = AsyncDisposable & {
  readonly kind: 'started';
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
};

/** The machine cannot run one: tests skip and say why. */
export type NoRadosgw = AsyncDisposable & { readonly kind: 'missing'; readonly reason: string };

const PACKAGES = ['ceph-mon', 'ceph-osd', 'radosgw'];
/** 12 s on two cores; most of it the gateway making its pools. */
const START_TIMEOUT_MS = 60_000;

const run = promisify(execFile);

/** Starts Ceph's S3 gateway with one monitor and one disk in memory; installs Debian's packages where they are missing. */
export async function startRadosgw(): Promise<Radosgw | NoRadosgw> {
  const reason = await install(PACKAGES, [...PACKAGES, 'ceph', 'monmaptool', 'radosgw-admin', 'setpriv']);
  if (reason !== null) return { kind: 'missing', reason, [Symbol.asyncDispose]: async () => undefined };
  const directory = await mkdtemp(join(tmpdir(), 'spillway-radosgw-'));
  const daemons: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(daemons.map(kill));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    return { kind: 'started', ...(await start(directory, daemons)), [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(directory: string, daemons: ChildProcess[]) {
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()];
  const cluster = randomUUID();
  const disk = randomUUID();
  const configuration = join(directory, 'ceph.conf');
  const monitor = `[v2:127.0.0.1:${monitorPort}]`;
  await mkdir(join(directory, 'mon'));
  await mkdir(join(directory, 'osd'));
  await writeFile(configuration, configurationOf(directory, cluster, monitor, gatewayPort));
  const finish = (command: string, ...args: string[]) => run(command, args, { timeout: START_TIMEOUT_MS });
  const daemon = (command: string, ...args: string[]): void => {
    // The kernel ends the daemon with this process, also when this process is killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, '-c', configuration, ...args, '-f'], {
      stdio: 'ignore',
    });
    child.on('error', () => undefined);
    daemons.push(child);
  };
  const map = join(directory, 'monmap');
  await finish('monmaptool', '--create', '--fsid', cluster, '--addv', 'a', monitor, map);
  await finish('ceph-mon', '-c', configuration, '-i', 'a', '--mkfs', '--monmap', map);
  daemon('ceph-mon', '-i', 'a');
  await finish('ceph', '-c', configuration, 'osd', 'new', disk);
  await finish('ceph-osd', '-c', configuration, '-i', '0', '--mkfs', '--osd-uuid', disk);
  daemon('ceph-osd', '-i', '0');
  daemon('radosgw', '-n', 'client.rgw');
  await listening(gatewayPort, daemons);
  const keys = { accessKey: 'spillway', secretKey: randomUUID() };
  const user = ['--uid', 'spillway', '--display-name', 'spillway'];
  const secrets = ['--access-key', keys.accessKey, '--secret-key', keys.secretKey];
  await finish('radosgw-admin', '-c', configuration, 'user', 'create', ...user, ...secrets);
  return { endpoint: `http://127.0.0.1:${gatewayPort}`, ...keys };
}

/** Without authentication between the daemons the connections must not be encrypted, which radosgw otherwise insists on. */
function configurationOf(directory: string, cluster: string, monitor: string, gatewayPort: number): string {
  const modes = ['mon client', 'mon service', 'mon cluster', 'cluster', 'service', 'client'];
  return `[global]
fsid = ${cluster}
mon host = ${monitor}
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
${modes.map((mode) => `ms ${mode} mode = crc`).join('\n')}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 0
mon data = ${join(directory, 'mon')}
osd data = ${join(directory, 'osd')}
osd objectstore = memstore
memstore device bytes = 2147483648
run dir = ${directory}
crash dir = ${directory}
admin socket = ${join(directory, '$name.$pid.asok')}
pid file =
log file = ${join(directory, '$name.log')}
mon cluster log file = ${join(directory, 'cluster.log')}
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort}
rgw enable usage log = false
`;
}

async function listening(port: number, daemons: readonly ChildProcess[]): Promise<void> {
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await delay(100)) {
    const socket = createConnection(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    const dead = daemons.find((daemon) => daemon.exitCode !== null || daemon.signalCode !== null);
    if (dead !== undefined) throw new Error(`a daemon ended while radosgw was starting: ${dead.spawnargs.join(' ')}`);
    if (Date.now() > deadline) throw new Error(`radosgw did not listen within ${START_TIMEOUT_MS} ms`);
  }
}

async function kill(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null || daemon.pid === undefined) return;
  const ended = once(daemon, 'exit');
  daemon.kill('SIGKILL');
  await ended;
}
