import { main, type Cluster, type Workload } from './workloads.ts';

type Labels = Readonly<Record<string, string>>;
/** Which pods or namespaces are meant, by their labels. */
export type Selector = {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly values: readonly string[] }[];
};
type Peer = { readonly podSelector?: Selector; readonly namespaceSelector?: Selector; readonly ipBlock?: object };
type Rule = {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port: number | string; readonly protocol?: string }[];
};
/** A network policy, as far as the tests look at it. */
export type Policy = {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
};

/** Somebody at the other end: a pod of ours, a namespace of others, or anywhere. */
export type End = Workload | { readonly namespace: string } | 'anywhere';

/** Whether labels are meant by a selector. */
export const picks = ({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''));

/** What the network policies of an overlay let pass, as Kubernetes says that they are read. */
export class Network {
  readonly #policies: readonly Policy[];

  constructor(cluster: Cluster) {
    this.#policies = cluster.of('NetworkPolicy').map(({ spec }) => spec as Policy);
  }

  /** Whether a pod of ours may ask somebody at a port: it may leave, and where it arrives it may enter. */
  passes(from: End, to: End, port: number, protocol = 'TCP'): boolean {
    const leaves = !isOurs(from) || this.#allows(from, 'Egress', to, { port, protocol });
    return leaves && (!isOurs(to) || this.#allows(to, 'Ingress', from, { port, protocol }));
  }

  /** A pod that no policy of a direction picks may do everything in it; else what any of them allows. */
  #allows(
    workload: Workload,
    direction: 'Ingress' | 'Egress',
    other: End,
    { port, protocol }: { readonly port: number; readonly protocol: string },
  ): boolean {
    const own = this.#policies.filter(
      ({ podSelector, policyTypes }) => policyTypes.includes(direction) && picks(podSelector, workload.labels),
    );
    if (own.length === 0) return true;
    const target = direction === 'Ingress' ? workload : other;
    const rules = own.flatMap(({ ingress, egress }) => (direction === 'Ingress' ? ingress : egress) ?? []);
    return rules.some(({ from, to, ports }) => {
      const peers = direction === 'Ingress' ? from : to;
      const isOpen =
        ports?.some((one) => numberOf(one.port, target) === port && (one.protocol ?? 'TCP') === protocol) ?? true;
      return isOpen && (peers?.some((peer) => isMeant(peer, other)) ?? true);
    });
  }
}

const isOurs = (end: End): end is Workload => typeof end !== 'string' && 'labels' in end;

function isMeant({ podSelector, namespaceSelector }: Peer, other: End): boolean {
  if (other === 'anywhere') return false;
  if (!isOurs(other))
    return (
      namespaceSelector !== undefined && picks(namespaceSelector, { 'kubernetes.io/metadata.name': other.namespace })
    );
  return podSelector !== undefined && namespaceSelector === undefined && picks(podSelector, other.labels);
}

/** A port's number; its name is one of the pod's that is asked. */
function numberOf(port: number | string, target: End): number | undefined {
  if (typeof port === 'number') return port;
  if (!isOurs(target)) return undefined;
  const containers = [...(target.pod.initContainers ?? []), main(target)];
  return containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === port)?.containerPort;
}
