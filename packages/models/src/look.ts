import { isBrokenOff, type Fault } from '@spillway/core';
import { faultOf, type Redact } from './fault.ts';
import { addressBelow, openTransport } from './transport.ts';

/** A list of models costs a server nothing: who needs longer for it is busy, not gone. */
const LOOK_MS = 2_000;

/** Whether there is a server, without asking its model anything: the fault that says that there is none; else null. */
export async function lookForServer(
  { baseURL, apiKey }: { readonly baseURL: string; readonly apiKey: string | null },
  redact: Redact,
  signal: AbortSignal,
): Promise<Fault | null> {
  const { origin } = new URL(baseURL);
  // A connection that is there says nothing: a server that goes away keeps it.
  await using transport = openTransport({ origin, apiKey, connections: 1, timeoutMs: LOOK_MS });
  try {
    const target = transport.targetOf('GET', addressBelow(baseURL, '/models'), new Headers());
    const { status } = await transport.send(target, { signal, timeoutMs: LOOK_MS });
    const fault: Fault = { kind: 'http', status, body: null, retryAfterMs: null, requestId: null };
    // 503 and 529 may be about this moment only.
    return isBrokenOff(fault) ? fault : null;
  } catch (error) {
    const fault = faultOf(error, { redact, timeoutMs: LOOK_MS });
    return fault?.kind === 'unreachable' || fault?.kind === 'reset' ? fault : null;
  }
}
