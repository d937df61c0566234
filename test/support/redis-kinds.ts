import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { findRedisBinary } from '../../services/playground/src/local/redis-binary.ts';
import { freePort, type RedisServer } from './redis.ts';

/** Redis as it is run elsewhere: behind Sentinels, as a Cluster, with TLS; each of real servers on loopback. */

/** With all that is special in an address. */
const PASSWORD = 'of-redis-itself@/:%#? ';
const SENTINEL_PASSWORD = 'of-the-sentinels';

/** The servers of one test: their processes and their directory. */
class Servers {
  readonly directory: string;
  readonly #binary: { readonly path: string; readonly name: string };
  readonly #children: ChildProcess[] = [];

  private constructor(directory: string, binary: { path: string; name: string }) {
    this.directory = directory;
    this.#binary = binary;
  }

  static async open(): Promise<Servers> {
    const tell = (line: string): void => void process.stderr.write(`${line}\n`);
    const binary = await findRedisBinary({ env: process.env, tell, signal: new AbortController().signal });
    return new Servers(await mkdtemp(join(tmpdir(), 'spillway-redis-')), binary);
  }

  launch(args: readonly string[]): ChildProcess {
    const child = spawn(this.#binary.path, args, { argv0: this.#binary.name, stdio: 'ignore', cwd: this.directory });
    this.#children.push(child);
    return child;
  }

  /** A server that keeps what it is given as the services want it. */
  async store(args: readonly string[]): Promise<{ child: ChildProcess; port: number }> {
    const port = await freePort();
    const kept = ['--appendonly', 'yes', '--appenddirname', `aof-${port}`, '--dbfilename', `${port}.rdb`, '--save', ''];
    const child = this.launch([
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      this.directory,
      ...kept,
      ...args,
    ]);
    return { child, port };
  }

  async close(): Promise<void> {
    await Promise.all(this.#children.map(killed));
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** A master and a replica, watched by three Sentinels; `kill` kills whichever is the master now. */
export async function startSentinels(): Promise<RedisServer> {
  const servers = await Servers.open();
  const login = ['--requirepass', PASSWORD, '--masterauth', PASSWORD];
  const first = await servers.store(login);
  const second = await servers.store([...login, '--replicaof', `127.0.0.1 ${first.port}`]);
  const children = new Map([first, second].map(({ port, child }) => [port, child]));
  await replicates(second.port);
  const ports = [await freePort(), await freePort(), await freePort()];
  for (const port of ports) {
    const file = join(servers.directory, `sentinel-${port}.conf`);
    await writeFile(file, sentinelConf(port, first.port));
    servers.launch([file, '--sentinel']);
  }
  const client = new Redis({
    sentinels: ports.map((port) => ({ host: '127.0.0.1', port })),
    name: 'main',
    password: PASSWORD,
    sentinelPassword: SENTINEL_PASSWORD,
    maxRetriesPerRequest: null,
    sentinelRetryStrategy: () => 100,
    retryStrategy: () => 50,
  });
  client.on('error', () => undefined);
  await client.ping();
  await quorum(ports);
  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const kill = async (): Promise<void> => {
    const port = client.stream.remotePort ?? 0;
    const master = children.get(port);
    if (master === undefined) throw new Error(`no master on port ${port}`);
    await killed(master);
  };
  const stop = async (): Promise<void> => {
    client.disconnect();
    await servers.close();
  };
  const url = `redis+sentinel://:${encodeURIComponent(PASSWORD)}@${hosts}/main?sentinel_password=${SENTINEL_PASSWORD}`;
  return { url, port: first.port, client, kill, stop, restart: cannotRestart, [Symbol.asyncDispose]: stop };
}

const sentinelConf = (port: number, master: number): string => `port ${port}
bind 127.0.0.1
requirepass ${SENTINEL_PASSWORD}
sentinel monitor main 127.0.0.1 ${master} 2
sentinel auth-pass main "${PASSWORD}"
sentinel sentinel-pass ${SENTINEL_PASSWORD}
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 2000
`;

async function replicates(port: number): Promise<void> {
  const client = new Redis(port, '127.0.0.1', {
    password: PASSWORD,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
  });
  client.on('error', () => undefined);
  await waitUntil(async () => (await client.info('replication')).includes('master_link_status:up'));
  client.disconnect();
}

/** Until every Sentinel knows the other two and the replica. */
async function quorum(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const client = new Redis(port, '127.0.0.1', { password: SENTINEL_PASSWORD, maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    await waitUntil(async () => /slaves=1,sentinels=3/.test(await client.info('sentinel')));
    client.disconnect();
  }
}

/** Three masters; `client` is of the one that holds the keys with this hash tag. */
export async function startCluster(tag: string): Promise<RedisServer> {
  const servers = await Servers.open();
  const nodes = await Promise.all([0, 1, 2].map((index) => clusterNode(servers, index)));
  const [first] = nodes;
  if (first === undefined) throw new Error('no node');
  for (const node of nodes.slice(1)) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', node.port, node.busPort);
  await Promise.all(
    nodes.map(({ client }) => waitUntil(async () => String(await client.call('CLUSTER', 'INFO')).includes('state:ok'))),
  );
  const slot = Number(await first.client.call('CLUSTER', 'KEYSLOT', `{${tag}}`));
  const owner = nodes[Math.min(2, Math.floor(slot / SLOTS_EACH))];
  if (owner === undefined) throw new Error(`nobody holds slot ${slot}`);
  const stop = async (): Promise<void> => {
    for (const { client } of nodes) client.disconnect();
    await servers.close();
  };
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    port: owner.port,
    client: owner.client,
    kill: () => killed(owner.child),
    stop,
    restart: cannotRestart,
    [Symbol.asyncDispose]: stop,
  };
}

const SLOTS = 16_384;
const SLOTS_EACH = Math.ceil(SLOTS / 3);

async function clusterNode(servers: Servers, index: number) {
  const busPort = await freePort();
  const own = ['--cluster-config-file', `nodes-${busPort}.conf`, '--cluster-port', String(busPort)];
  const { child, port } = await servers.store(['--cluster-enabled', 'yes', ...own]);
  const client = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  await client.ping();
  const from = index * SLOTS_EACH;
  await client.call('CLUSTER', 'ADDSLOTSRANGE', from, Math.min(SLOTS, from + SLOTS_EACH) - 1);
  return { child, port, busPort, client };
}

/** A server that speaks TLS only and wants a password; `authority` is the file of the certificate to trust. */
export async function startTls(): Promise<RedisServer & { readonly authority: string; readonly directory: string }> {
  const servers = await Servers.open();
  const authority = join(servers.directory, 'cert.pem');
  const key = join(servers.directory, 'key.pem');
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const made = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    authority,
    ...names,
  ];
  const { status, stderr } = spawnSync('openssl', made, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl: ${stderr}`);
  const port = await freePort();
  const tls = [
    '--tls-port',
    String(port),
    '--tls-cert-file',
    authority,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
  ];
  const child = servers.launch([
    '--port',
    '0',
    '--dir',
    servers.directory,
    '--appendonly',
    'yes',
    '--requirepass',
    PASSWORD,
    ...tls,
  ]);
  const client = new Redis({
    host: 'localhost',
    port,
    password: PASSWORD,
    tls: { rejectUnauthorized: false },
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
  });
  client.on('error', () => undefined);
  await client.ping();
  const stop = async (): Promise<void> => {
    client.disconnect();
    await servers.close();
  };
  const url = `rediss://:${encodeURIComponent(PASSWORD)}@localhost:${port}`;
  const kill = () => killed(child);
  const { directory } = servers;
  return { url, authority, directory, port, client, kill, stop, restart: cannotRestart, [Symbol.asyncDispose]: stop };
}

async function cannotRestart(): Promise<void> {
  throw new Error('servers of this kind are not started again');
}

async function waitUntil(fits: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await fits().catch(() => false))) {
    if (performance.now() > end) throw new Error('Redis did not get there');
    await delay(20);
  }
}
