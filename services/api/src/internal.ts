import type { Scaling, Tier } from '@spillway/core';
import type { PlainAnswer } from '@spillway/runtime';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError } from './errors.ts';
import type { KeyRing } from './keys/ring.ts';
import { refuseTenants } from './metrics.ts';
import type { ScalingSignal } from './scaling.ts';

/** Names of models need no escaping. */
const PATH = /^\/internal\/scaling\/(drafter|expert)\/([A-Za-z0-9._-]+)$/;

/** The tier that a path of the scaling signal names; null: it is none. */
function tierOf(path: string): Tier | null {
  const [, role, model] = PATH.exec(path) ?? [];
  if (role === undefined || model === undefined) return null;
  return { role: role === 'expert' ? 'expert' : 'drafter', model };
}

/** Serves the scaling signal to whoever has an admin's key; without a key it is on HEALTH_PORT. */
export function serveInternal(app: FastifyInstance, scaling: ScalingSignal, keys: KeyRing | null): void {
  const answer = async (request: FastifyRequest): Promise<Scaling> => {
    await refuseTenants(request, keys);
    const tier = tierOf(request.url.replace(/\?.*$/, ''));
    if (tier === null) throw new ApiError(404, "The role is 'drafter' or 'expert'.", { code: 'no_such_tier' });
    return await scaling.of(tier.role, tier.model);
  };
  app.route({ method: 'GET', url: '/internal/scaling/:role/:model', handler: answer });
}

/** The same for the health port. */
export async function answerInternal(scaling: ScalingSignal, path: string): Promise<PlainAnswer | null> {
  const tier = tierOf(path);
  if (tier === null) return null;
  try {
    return { status: 200, body: await scaling.of(tier.role, tier.model) };
  } catch (error) {
    if (error instanceof ApiError) return { status: error.status, body: error.envelope };
    throw error;
  }
}
