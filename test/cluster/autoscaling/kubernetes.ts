/** Less than `fetch` waits for something to come of a watch on which nothing happens. */
const WATCH_S = 240;

type KeyRef = { readonly name: string; readonly optional?: boolean };

export type Pod = {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly containers: readonly [
      {
        readonly args: readonly string[];
        readonly env?: readonly { readonly name: string; readonly value?: string }[];
        readonly envFrom?: readonly { readonly configMapRef?: KeyRef; readonly secretRef?: KeyRef }[];
        readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
      },
    ];
    readonly volumes?: readonly {
      readonly name: string;
      readonly configMap?: KeyRef;
      readonly secret?: { readonly secretName: string; readonly optional?: boolean };
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
  readonly status: { readonly phase: string };
};

type Event = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'; readonly object: Pod };

/** The API server's namespace `spillway`, through `kubectl proxy`. */
export class Kubernetes {
  readonly #origin: string;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** An object, as its path below the namespace says; null: there is none. */
  async get<T>(path: string): Promise<T | null> {
    const response = await fetch(this.#url(path));
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** How many replicas a Deployment is to have. */
  async replicas(deployment: string): Promise<number> {
    const found = await this.get<{ spec: { replicas: number } }>(`apis/apps/v1/deployments/${deployment}`);
    return found?.spec.replicas ?? 0;
  }

  /** Sets a pod's finalizers; false: it is gone or on its way, and takes none. */
  async setFinalizers(pod: string, finalizers: readonly string[]): Promise<boolean> {
    const response = await fetch(this.#url(`api/v1/pods/${pod}`), {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: JSON.stringify({ metadata: { finalizers } }),
    });
    await response.arrayBuffer();
    return response.ok;
  }

  /** Every pod that there is, then each change, until the signal; begins again where the API server ends the watch. */
  async watchPods(seen: (pod: Pod, isGone: boolean) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const response = await fetch(this.#url(`api/v1/pods?watch=true&timeoutSeconds=${WATCH_S}`), { signal });
      if (!response.ok || response.body === null) throw new Error(`no watch: ${response.status}`);
      let text = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const lines = (text + chunk).split('\n');
        text = lines.pop() ?? '';
        for (const line of lines) {
          const { type, object } = JSON.parse(line) as Event;
          if (type !== 'BOOKMARK' && type !== 'ERROR') seen(object, type === 'DELETED');
        }
      }
    }
  }

  #url(path: string): string {
    const parts = /^(api\/v1|apis\/[^/]+\/[^/]+)\/(.*)$/.exec(path);
    return `${this.#origin}/${parts?.[1]}/namespaces/spillway/${parts?.[2]}`;
  }
}
