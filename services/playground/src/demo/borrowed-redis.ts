import type { RedisStore } from '@spillway/redis';

const SCAN_COUNT = 1_000;

/** Removes what a demo left in a Redis that is not its own: all keys of its namespace, which nobody else uses. */
export async function leaveNoKeys(redis: RedisStore): Promise<void> {
  const { client, keys } = redis;
  // All keys of a namespace share a hash tag, so in a cluster they lie on one node; the others have none to give.
  const nodes = 'nodes' in client ? client.nodes('master') : [client];
  const pattern = `${keys.prefix.replace(/[*?[\]\\]/g, '\\$&')}:*`;
  for (const node of nodes) {
    for await (const found of node.scanStream({ match: pattern, count: SCAN_COUNT })) {
      const names = found as string[];
      if (names.length > 0) await node.unlink(...names);
    }
  }
}
