import { once } from 'node:events';
import { createServer } from 'node:net';
import { listenError, SetupError } from '@spillway/runtime';

/** Throws a SetupError with this advice when something listens on the port already. */
export async function checkPortFree(host: string, port: number, advice: string): Promise<void> {
  const probe = createServer();
  try {
    probe.listen(port, host);
    await once(probe, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new SetupError(`Port ${port} on ${host} is taken: ${advice}`, { cause: error });
    }
    throw listenError(error as NodeJS.ErrnoException, host, port, 'PORT');
  }
  probe.close();
  await once(probe, 'close');
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
