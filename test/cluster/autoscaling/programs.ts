import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/redis.ts';

/** A program of the control plane. */
export type Program = {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

export type Plan = {
  /** In the order in which they are started; the first two carry all others. */
  readonly programs: readonly Program[];
  readonly kubeconfig: string;
  /** Where KEDA's metrics server listens. */
  readonly metricsPort: number;
};

const STAGES = fileURLToPath(new URL('stages.yaml', import.meta.url));

/** The programs of a control plane that keeps everything in one folder and listens on this machine only. */
export async function planControlPlane(directory: string, proxyUrl: string): Promise<Plan> {
  const ports = await Promise.all(Array.from({ length: 9 }, freePort));
  const [etcd = 0, peers = 0, api = 0, managed = 0, scheduled = 0, operator = 0, metrics = 0, ...rest] = ports;
  const kubeconfig = await writeAccess(directory, api);
  const at = (file: string): string => join(directory, file);
  const etcdUrl = `http://127.0.0.1:${etcd}`;
  const shown = [`--tls-cert-file=${at('tls.crt')}`, `--tls-private-key-file=${at('tls.key')}`];
  const local = ['--bind-address=127.0.0.1', `--kubeconfig=${kubeconfig}`, '--leader-elect=false'];
  const keda = {
    KUBECONFIG: kubeconfig,
    POD_NAMESPACE: 'keda',
    KEDA_CLUSTER_OBJECT_NAMESPACE: 'keda',
    WATCH_NAMESPACE: '',
  };
  const programs: Program[] = [
    {
      name: 'etcd',
      args: [
        `--data-dir=${at('etcd')}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=http://127.0.0.1:${peers}`,
        '--unsafe-no-fsync',
      ],
    },
    { name: 'kube-apiserver', args: apiServer(at, { api, etcdUrl, shown }) },
    {
      name: 'kube-controller-manager',
      args: [
        ...local,
        `--secure-port=${managed}`,
        `--root-ca-file=${at('ca.crt')}`,
        `--service-account-private-key-file=${at('accounts.key')}`,
      ],
    },
    { name: 'kube-scheduler', args: [...local, `--secure-port=${scheduled}`] },
    {
      name: 'kwok',
      // Without leases its nodes are taken for dead after a minute, and their pods are evicted.
      args: [
        `--kubeconfig=${kubeconfig}`,
        `--config=${STAGES}`,
        '--manage-all-nodes',
        '--node-lease-duration-seconds=40',
      ],
    },
    {
      name: 'keda-operator',
      args: [
        `--metrics-service-bind-address=127.0.0.1:${operator}`,
        `--cert-dir=${directory}`,
        '--metrics-bind-address=0',
        `--health-probe-bind-address=127.0.0.1:${rest[0]}`,
      ],
      // The names of Services lead through it; what is on this machine is asked without.
      env: { ...keda, HTTP_PROXY: proxyUrl },
    },
    {
      name: 'keda-metrics-apiserver',
      args: [
        '--bind-address=127.0.0.1',
        `--secure-port=${metrics}`,
        `--port=${rest[1]}`,
        `--metrics-service-address=localhost:${operator}`,
        `--cert-dir=${directory}`,
        ...shown,
        `--lister-kubeconfig=${kubeconfig}`,
        `--authentication-kubeconfig=${kubeconfig}`,
        `--authorization-kubeconfig=${kubeconfig}`,
      ],
      env: keda,
    },
  ];
  return { programs, kubeconfig, metricsPort: metrics };
}

function apiServer(
  at: (file: string) => string,
  { api, etcdUrl, shown }: { readonly api: number; readonly etcdUrl: string; readonly shown: readonly string[] },
): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${api}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=RBAC',
    `--token-auth-file=${at('tokens.csv')}`,
    ...shown,
    '--service-account-issuer=https://localhost',
    `--service-account-key-file=${at('accounts.key')}`,
    `--service-account-signing-key-file=${at('accounts.key')}`,
    `--requestheader-client-ca-file=${at('ca.crt')}`,
    '--requestheader-allowed-names=front-proxy',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${at('proxy.crt')}`,
    `--proxy-client-key-file=${at('proxy.key')}`,
  ];
}

/** One token that may do everything, for the programs and for this run. */
async function writeAccess(directory: string, port: number): Promise<string> {
  const token = randomBytes(16).toString('hex');
  await writeFile(join(directory, 'tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  const kubeconfig = join(directory, 'kubeconfig');
  const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority': join(directory, 'ca.crt') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'run', cluster }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'run', context: { cluster: 'run', user: 'admin' } }],
    'current-context': 'run',
  };
  await writeFile(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  return kubeconfig;
}
