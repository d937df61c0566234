import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { watchReader } from './answer-watch.ts';

const BYTES = 32 * 1024 * 1024;

test('a reader that takes nothing loses its answer, one that reads gets all of it', async () => {
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    answers.push(response);
    watchReader(response, 100);
    response.setHeader('content-length', BYTES);
    const write = (left: number): void => {
      if (left === 0) return void response.end();
      if (response.write(Buffer.alloc(64 * 1024))) setImmediate(write, left - 64 * 1024);
      else response.once('drain', () => write(left - 64 * 1024));
    };
    write(BYTES);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const silent = connect(port, '127.0.0.1').pause();
  silent.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const whole = await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer();
  assert.equal(whole.byteLength, BYTES);
  for (const response of answers) if (!response.closed) await once(response, 'close');
  assert.equal(answers.filter(({ writableFinished }) => writableFinished).length, 1);
  assert.equal(answers.length, 2);
  silent.destroy();
  server.closeAllConnections();
  server.close();
});
