import type { Env } from '@spillway/runtime';
import { parse } from 'yaml';
import type { Rendered } from './kustomize.ts';
import type { ServiceName } from './service.ts';

type Labels = Readonly<Record<string, string>>;
type Variable = { readonly name: string; readonly value?: string; readonly valueFrom?: unknown };
type Named = { readonly name: string };
type Probe = { readonly httpGet?: { readonly port: string | number }; readonly exec?: object };

export type ContainerSpec = Named & {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly {
    readonly configMapRef?: Named;
    readonly secretRef?: Named & { readonly optional?: boolean };
  }[];
  readonly ports?: readonly (Named & { readonly containerPort: number })[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly restartPolicy?: string;
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: { readonly exec?: { readonly command: readonly string[] } } };
  readonly volumeMounts?: readonly (Named & { readonly mountPath: string; readonly readOnly?: boolean })[];
};

type VolumeSpec = Named & {
  readonly configMap?: Named;
  readonly secret?: { readonly secretName: string; readonly optional?: boolean };
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly emptyDir?: { readonly sizeLimit?: string };
};

export type PodSpec = {
  readonly containers: readonly ContainerSpec[];
  readonly initContainers?: readonly ContainerSpec[];
  readonly volumes?: readonly VolumeSpec[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly automountServiceAccountToken?: boolean;
  readonly serviceAccountName?: string;
  readonly enableServiceLinks?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly priorityClassName?: string;
  readonly topologySpreadConstraints?: readonly { readonly labelSelector: { readonly matchLabels?: Labels } }[];
};

/** What runs pods: a Deployment or a StatefulSet. */
export type Workload = {
  readonly name: string;
  readonly replicas: number | undefined;
  readonly selector: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod: PodSpec;
  readonly claims: readonly string[];
};

/** A Deployment of one of our services. */
export type ServiceWorkload = Workload & { readonly service: ServiceName };

/** A configuration as it is written, read here without the reader that the tests are about. */
type Written = {
  readonly models: Readonly<Record<string, { readonly api_key_env?: string }>>;
  readonly cascades: Readonly<
    Record<
      string,
      { readonly drafter?: string; readonly expert?: string; readonly stages?: { readonly model: string }[] }
    >
  >;
};

/** The rendered objects of one overlay, by what the tests ask of them. */
export class Cluster {
  readonly objects: readonly Rendered[];
  readonly workloads: readonly Workload[];

  constructor(objects: readonly Rendered[]) {
    this.objects = objects;
    this.workloads = this.of('Deployment', 'StatefulSet').map(({ metadata, spec }) => {
      const {
        replicas,
        selector,
        template,
        volumeClaimTemplates = [],
      } = spec as {
        replicas?: number;
        selector: { matchLabels: Record<string, string> };
        template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
        volumeClaimTemplates?: { metadata: Named }[];
      };
      const claims = volumeClaimTemplates.map((claim) => claim.metadata.name);
      return {
        name: metadata.name,
        replicas,
        selector: selector.matchLabels,
        labels: template.metadata.labels,
        pod: template.spec,
        claims,
      };
    });
  }

  of(...kinds: readonly string[]): Rendered[] {
    return this.objects.filter(({ kind }) => kinds.includes(kind));
  }

  find(kind: string, name: string): Rendered | undefined {
    return this.of(kind).find(({ metadata }) => metadata.name === name);
  }

  workload(name: string): Workload {
    const found = this.workloads.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no workload ${name}`);
    return found;
  }

  /** The workloads whose pods a selector of labels picks. */
  picked(selector: Readonly<Record<string, string>>): Workload[] {
    return this.workloads.filter(({ labels }) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value),
    );
  }

  /** The data of a ConfigMap. */
  data(name: string): Readonly<Record<string, string>> {
    return (this.find('ConfigMap', name)?.['data'] ?? {}) as Record<string, string>;
  }

  /** The text of the configuration, whose map's name ends in a hash. */
  configuration(): string {
    const map = this.of('ConfigMap').find(({ metadata }) => metadata.name.startsWith('spillway-config-'));
    const text = map === undefined ? undefined : this.data(map.metadata.name)['spillway.yaml'];
    if (text === undefined) throw new Error('there is no configuration');
    return text;
  }

  /** The tiers of the configuration, as `drafter.small`: each model in each role that a stage gives it. */
  tiers(): string[] {
    const { cascades } = parse(this.configuration()) as Written;
    const all = Object.values(cascades).flatMap(({ drafter, expert, stages }) => {
      const models = stages?.map(({ model }) => model) ?? [drafter, expert];
      return models.map((model, index) => `${index < models.length - 1 ? 'drafter' : 'expert'}.${model}`);
    });
    return [...new Set(all)].toSorted();
  }

  /** The workloads that run one of our services, by what their container starts; a further tier's among them. */
  services(): ServiceWorkload[] {
    return this.workloads.flatMap((workload) => {
      const [, service] =
        /^services\/(api|dispatcher|drafter|expert)\/src\/main\.ts$/.exec(main(workload).args?.[0] ?? '') ?? [];
      return service === undefined ? [] : [{ ...workload, service: service as ServiceName }];
    });
  }

  /** All that a container's process finds: what the image sets and what secrets give too, with the configuration at a path. */
  processEnvironment(container: ContainerSpec, config: string): Env {
    const { models } = parse(this.configuration()) as Written;
    const keys = Object.values(models).flatMap(({ api_key_env: key }) => (key === undefined ? [] : [[key, 'x']]));
    const given = this.environment(container);
    return { HOST: '0.0.0.0', ...given, SPILLWAY_CONFIG: config, ...(Object.fromEntries(keys) as Env) };
  }

  /** What a container's process finds in its environment; what comes of a secret is there as `secret`. */
  environment(container: ContainerSpec): Record<string, string> {
    const shared = (container.envFrom ?? []).map(({ configMapRef }) =>
      configMapRef === undefined ? {} : this.data(configMapRef.name),
    );
    const own = (container.env ?? []).map(({ name, value }) => [name, value ?? 'secret'] as const);
    return { ...Object.assign({}, ...shared), ...Object.fromEntries(own) };
  }
}

/** The container that a workload is for. */
export function main({ name, pod }: Workload): ContainerSpec {
  const [container] = pod.containers;
  if (container === undefined) throw new Error(`${name} has no container`);
  return container;
}

/** The names of a container's ports. */
export const portsOf = ({ ports = [] }: ContainerSpec): Set<string> => new Set(ports.map(({ name }) => name));

export const containersOf = ({ pod }: Workload): ContainerSpec[] => [...(pod.initContainers ?? []), ...pod.containers];

/** Seconds of a preStop hook that sleeps. */
export function preStopSeconds(container: ContainerSpec): number {
  const [command, seconds] = container.lifecycle?.preStop?.exec?.command ?? [];
  return command === 'sleep' ? Number(seconds) : 0;
}
