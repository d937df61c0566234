import { connect, type Socket } from 'node:net';

/** More than a create may have, in as few bytes as can be: 3.3 million requests in 10 MB. */
const EMPTY_REQUESTS = 3_300_000;
/** Connections of one client that sends its bodies a byte at a time. */
const DRIBBLES = 20;
const DRIBBLE_MS = 200;

/** Asks for a batch of millions of empty requests, and goes away with whatever it is told. */
export async function flood(origin: string, key: string): Promise<void> {
  const fields = '{"endpoint":"/v1/chat/completions","completion_window":"24h","requests":[';
  const body = `${fields}${'{},'.repeat(EMPTY_REQUESTS)}{}]}`;
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const signal = AbortSignal.timeout(10_000);
  await fetch(`${origin}/v1/batches`, { method: 'POST', headers, body, signal }).catch(() => null);
}

/** Begins requests whose bodies do not come to an end; what comes back hangs up. */
export function dribble(origin: string, key: string): () => void {
  const { hostname, port } = new URL(origin);
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    `host: ${hostname}:${port}`,
    `authorization: Bearer ${key}`,
    'content-type: application/json',
    'content-length: 10000',
  ];
  const sockets: Socket[] = [];
  for (let at = 0; at < DRIBBLES; at += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).resume();
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    sockets.push(socket);
  }
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(' ');
  }, DRIBBLE_MS);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}
