import { unauthorized } from './errors.ts';
import type { KeyLimits, Role } from './keys/file.ts';
import type { KeyRing } from './keys/ring.ts';

/** On whose behalf a request is made. */
export type Caller = { readonly tenant: string; readonly role: Role; readonly limits: KeyLimits };

/** Who calls where no keys are configured; the API then listens on loopback only. */
const NOBODY_ELSE: Caller = { tenant: 'default', role: 'admin', limits: {} };

const MISSING =
  "You didn't provide an API key. You need to provide your API key in an Authorization header " +
  'using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).';

/** Who calls, by the key of the request; refuses with 401. */
export async function authenticate(ring: KeyRing | null, authorization: string | undefined): Promise<Caller> {
  if (ring === null) return NOBODY_ELSE;
  const key = /^Bearer +(\S+)\s*$/i.exec(authorization ?? '')?.[1];
  if (key === undefined) throw unauthorized(MISSING, 'no_key');
  const entry = await ring.find(key);
  if (entry === null) throw unauthorized('Incorrect API key provided.', 'unknown_key');
  const { tenant, role, limits = {} } = entry;
  return { tenant, role, limits };
}
