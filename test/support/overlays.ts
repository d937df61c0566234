import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRender, render } from './kustomize.ts';
import { Cluster } from './workloads.ts';

/** Every overlay of k8s/overlays. */
export const OVERLAYS = ['local', 'production', 'gpu', 'three-tiers'] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** Those whose tiers KEDA scales. */
export const SCALED_OVERLAYS = OVERLAYS.filter((overlay) => overlay !== 'local');

const rendered = new Map<Overlay, Promise<Cluster>>();

/** An overlay's objects, rendered once for all tests of a file. */
export async function clusterOf(overlay: Overlay): Promise<Cluster> {
  const known = rendered.get(overlay) ?? render(`overlays/${overlay}`).then((objects) => new Cluster(objects));
  rendered.set(overlay, known);
  return await known;
}

/** The same test of every overlay. */
export function eachOverlay(claim: string, check: (cluster: Cluster, overlay: Overlay) => Promise<void> | void): void {
  for (const overlay of OVERLAYS) {
    test(`${overlay}: ${claim}`, { skip: cannotRender }, async () => {
      const cluster = await clusterOf(overlay);
      assert.ok(cluster.objects.length > 0);
      await check(cluster, overlay);
    });
  }
}
