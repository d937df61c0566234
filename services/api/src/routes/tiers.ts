import { jsonLine } from '@spillway/core';
import { z } from 'zod';
import type { BatchEvents } from '../events/events.ts';
import { refuseOthers } from '../metrics.ts';
import { jsonRoute, streamRoute, type Route } from '../route.ts';
import { listTiers, tierList, type TierSources } from '../tiers.ts';

const tierEvents = z
  .string()
  .meta({ description: 'Events named `tier`; the data of each is a tier. A stream ends after ten minutes.' });

/** What shows more than one tenant: for admins. */
export function tierRoutes(sources: TierSources, events: BatchEvents): readonly Route[] {
  return [
    jsonRoute({
      method: 'GET',
      url: '/tiers',
      summary:
        'List the tiers: queues, breakers, workers, what they need, what the check of their models found; for admins',
      output: tierList,
      errors: [403],
      answer: ({ caller }) => listTiers(sources, caller),
    }),
    streamRoute({
      method: 'GET',
      url: '/tiers/events',
      summary:
        'The tiers as server-sent events: all of them, then whichever changed, at most once a second; for admins',
      output: { type: 'text/event-stream', schema: tierEvents },
      errors: [403, 429],
      answer: ({ caller, reply }) => {
        refuseOthers(caller);
        return events.ofAll(caller.tenant, reply, {
          event: 'tier',
          read: async () => {
            const { data } = await listTiers(sources, caller);
            return new Map(data.map((tier) => [tier.id, jsonLine(tier)]));
          },
        });
      },
    }),
  ];
}
