import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Meters, openLog, serveHealth } from '@spillway/runtime';
import { json, send } from './raw-http.ts';

const probes = { live: () => ({ ok: true, detail: 'live' }), ready: () => ({ ok: true, detail: 'ready' }) };

const serve = async (meters: Meters, names: readonly string[] = [], lines: string[] = []) => {
  const log = openLog('test', 'info', { write: (line) => void lines.push(line) });
  return serveHealth({ host: '127.0.0.1', port: 0, names }, probes, { log, telemetry: { meters } }, async () => ({
    status: 200,
    body: { required: 1 },
  }));
};

test('the health port answers whoever asks by an address or a name that no page can have', async () => {
  await using meters = new Meters('test');
  const lines: string[] = [];
  await using health = await serve(meters, ['spillway-1.prod.example'], lines);
  const refused = 'cascade_requests_refused_total{http_response_status_code="403",reason="foreign_page"}';
  assert.ok((await meters.text()).includes(`${refused} 0\n`), 'the first one would not be seen');
  const url = `http://127.0.0.1:${health.port}`;
  for (const path of ['/health/live', '/health/ready', '/metrics', '/internal/scaling/expert/large']) {
    for (const host of ['10.1.2.3:9464', 'localhost', 'api-internal.spillway.svc:9464', 'SPILLWAY-1.prod.example']) {
      assert.equal((await send(url + path, { headers: { host } })).status, 200, `${path} ${host}`);
    }
    for (const headers of [
      { host: 'evil.example' },
      { host: 'evil.example:9464' },
      { origin: 'http://evil.example' },
    ]) {
      const answer = await send(url + path, { headers });
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.match(String(json(answer)['error']), /SPILLWAY_HEALTH_HOSTS/);
    }
  }
  assert.ok((await meters.text()).includes(`${refused} 12\n`));
  assert.equal(lines.length, 12);
  const { method, route, refused: reason, from, status, msg } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual(
    [method, route, reason, from, status, msg],
    ['GET', 'HEALTH_PORT', 'foreign_page', '127.0.0.1', 403, 'request'],
  );
});

test('two Host headers are a 400 there too', async () => {
  await using meters = new Meters('test');
  await using health = await serve(meters);
  const socket = connect(health.port, '127.0.0.1');
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 400 /);
});
