import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { openStorage, StorageError } from '@spillway/storage';
import { startRadosgw, type NoRadosgw, type Radosgw } from '../support/radosgw.ts';

/** What the network and the server may do to S3 storage: a proxy stands between it and a real server. */

const MIB = 1024 * 1024;
let server: Radosgw | NoRadosgw;

before(async () => {
  server = await startRadosgw();
  if (server.kind === 'missing') return;
  process.env['AWS_ACCESS_KEY_ID'] = server.accessKey;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.secretKey;
  using client = clientOf(server);
  await client.s3.send(new CreateBucketCommand({ Bucket: 'private' }));
  await client.s3.send(new CreateBucketCommand({ Bucket: 'public' }));
  const everybody = {
    Effect: 'Allow',
    Principal: '*',
    Action: 's3:*',
    Resource: ['arn:aws:s3:::public', 'arn:aws:s3:::public/*'],
  };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [everybody] });
  await client.s3.send(new PutBucketPolicyCommand({ Bucket: 'public', Policy }));
});
after(() => server[Symbol.asyncDispose]());

s3Test('a server that ignores If-None-Match is refused', async () => {
  // Nothing is signed for a public bucket, so the proxy may drop the header.
  await using proxy = await startProxy({
    request: (headers) => {
      assert.equal(headers['authorization'], undefined);
      delete headers['if-none-match'];
    },
  });
  await using storage = await openStorage(proxy.address('public', '&anonymous=true'));
  await assert.rejects(
    storage.prove(),
    failsWith('not_create_only', /lets a second create of a key succeed: use a storage that refuses/),
  );
  assert.deepEqual(await storage.list('probe/', { limit: 10 }), []);
});

s3Test('the same server passes without the proxy dropping anything', async () => {
  await using proxy = await startProxy({});
  await using storage = await openStorage(proxy.address('public', '&anonymous=true'));
  await storage.prove();
});

s3Test('a create whose answer was lost is told apart from somebody else who was first', async () => {
  let lost = 0;
  await using proxy = await startProxy({
    answer: (sent, answer) => {
      if (sent.method !== 'PUT' || lost > 0) return false;
      lost += 1;
      answer.socket?.destroy();
      return true;
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  assert.equal(await storage.create('lost/own', Buffer.from('x')), 'created');
  assert.equal(lost, 1);
  lost = 0;
  assert.equal(await storage.create('lost/own', Buffer.from('x')), 'exists');
  assert.equal(lost, 1);
});

s3Test('a create that conflicts with another one is tried again, but not for ever', async () => {
  let conflicts = 3;
  let asked = 0;
  await using proxy = await startProxy({
    answer: (sent, answer) => {
      if (sent.method !== 'PUT') return false;
      asked += 1;
      if (asked > conflicts) return false;
      answer.writeHead(409, { 'content-type': 'application/xml' });
      answer.end('<Error><Code>ConditionalRequestConflict</Code><Message>busy</Message></Error>');
      return true;
    },
    keepFromServer: (sent) => sent.method === 'PUT' && asked < conflicts,
  });
  await using storage = await openStorage(proxy.address('private'));
  assert.equal(await storage.create('conflict/a', Buffer.from('x')), 'created');
  assert.equal(asked, 4);
  conflicts = Infinity;
  await assert.rejects(
    storage.create('conflict/b', Buffer.from('x')),
    failsWith('unavailable', /ConditionalRequestConflict/),
  );
  assert.ok(asked <= 14, `${asked}`);
});

s3Test('a stream that is cut again and again goes on where it ended', async () => {
  let cuts = 0;
  await using proxy = await startProxy({
    piece: (sent, answer, forwardedBytes) => {
      if (sent.method !== 'GET' || forwardedBytes < 700_000 || cuts === 6) return;
      cuts += 1;
      answer.socket?.destroy();
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  const bytes = Buffer.alloc(6 * MIB);
  for (let index = 0; index < bytes.length; index += 4) bytes.writeUInt32BE(index, index);
  await storage.create('cut', bytes);
  assert.ok(bytes.equals((await storage.read('cut')) ?? Buffer.of()));
  assert.equal(cuts, 6);
  cuts = 4;
  const range = { start: 1_000_001, end: 5_000_003 };
  assert.ok(bytes.subarray(range.start, range.end).equals((await storage.read('cut', range)) ?? Buffer.of()));
  assert.equal(cuts, 6);
});

s3Test('a stream without any byte in six attempts fails', async () => {
  let asked = 0;
  await using proxy = await startProxy({
    answer: (sent, answer) => {
      if (sent.method !== 'GET') return false;
      asked += 1;
      answer.writeHead(206, { 'content-length': '10', 'content-range': 'bytes 0-9/10' });
      answer.flushHeaders();
      setImmediate(() => answer.socket?.destroy());
      return true;
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  await storage.create('silent', Buffer.from('0123456789'));
  await assert.rejects(storage.read('silent'), failsWith('unavailable', /Cannot read s3:\/\/private/));
  assert.equal(asked, 6);
});

s3Test('a slow reader holds the server back', async () => {
  let forwarded = 0;
  await using proxy = await startProxy({
    piece: (sent, _, forwardedBytes) => {
      if (sent.method === 'GET') forwarded = forwardedBytes;
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  await storage.create('slow', Buffer.alloc(48 * MIB));
  let read = 0;
  for await (const chunk of (await storage.stream('slow')) ?? assert.fail()) {
    if (read === 0) {
      await delay(500);
      assert.ok(forwarded < 24 * MIB, `${forwarded} bytes were sent ahead`);
    }
    read += chunk.byteLength;
  }
  assert.equal(read, 48 * MIB);
});

s3Test('an upload that breaks leaves no parts behind', async (_, started) => {
  await using storage = await openStorage(addressOf(started.endpoint, 'private'));
  const source = async function* () {
    for (let part = 0; part < 3; part++) yield Buffer.alloc(5 * MIB);
    throw new Error('gone');
  };
  await assert.rejects(storage.upload('broken/x', source()), /gone/);
  using client = clientOf(started);
  const found = await client.s3.send(new ListMultipartUploadsCommand({ Bucket: 'private' }));
  assert.deepEqual(found.Uploads ?? [], []);
});

s3Test('an upload fails when its parts cannot be written, and says where', async () => {
  await using proxy = await startProxy({
    answer: (sent, answer) => {
      if (!/partNumber=2/.test(sent.url ?? '')) return false;
      answer.writeHead(403, { 'content-type': 'application/xml' });
      answer.end('<Error><Code>AccessDenied</Code><Message>no</Message></Error>');
      return true;
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  let closed = false;
  const source = async function* () {
    try {
      for (let part = 0; part < 40; part++) yield Buffer.alloc(MIB);
    } finally {
      closed = true;
    }
  };
  await assert.rejects(
    storage.upload('denied/x', source()),
    failsWith('denied', /Cannot write to s3:\/\/private.*AccessDenied, 403/),
  );
  assert.ok(closed);
  assert.equal(await storage.size('denied/x'), null);
});

s3Test('proving leaves uploads alone that are younger than a day', async (_, started) => {
  using client = clientOf(started);
  await client.s3.send(new CreateMultipartUploadCommand({ Bucket: 'private', Key: 'young' }));
  await using storage = await openStorage(addressOf(started.endpoint, 'private'));
  await storage.prove();
  const found = await client.s3.send(new ListMultipartUploadsCommand({ Bucket: 'private' }));
  assert.deepEqual(
    found.Uploads?.map(({ Key }) => Key),
    ['young'],
  );
});

s3Test('proving removes uploads that are older than a day', async () => {
  const aborted: string[] = [];
  await using proxy = await startProxy({
    answer: (sent, answer) => {
      if (sent.method === 'GET' && /[?&]uploads/.test(sent.url ?? '')) {
        const upload = (key: string, at: Date) =>
          `<Upload><Key>${key}</Key><UploadId>${key}-id</UploadId><Initiated>${at.toISOString()}</Initiated></Upload>`;
        const [old, young] = [new Date(Date.now() - 2 * 86_400_000), new Date()];
        answer.writeHead(200, { 'content-type': 'application/xml' });
        answer.end(
          `<ListMultipartUploadsResult>${upload('old', old)}${upload('young', young)}</ListMultipartUploadsResult>`,
        );
        return true;
      }
      if (sent.method === 'DELETE' && /uploadId/.test(sent.url ?? '')) aborted.push(sent.url ?? '');
      return false;
    },
  });
  await using storage = await openStorage(proxy.address('private'));
  await storage.prove();
  assert.equal(aborted.length, 1);
  assert.match(aborted[0] ?? '', /\/private\/old\?.*uploadId=old-id/);
});

s3Test('lists over more names than one answer holds, and past what are no keys of ours', async (_, started) => {
  using client = clientOf(started);
  const names = Array.from({ length: 1_250 }, (__, index) => `many/${String(index).padStart(5, '0')}`);
  for (let start = 0; start < names.length; start += 50) {
    const keys = [...names.slice(start, start + 50), `many/${String(start).padStart(5, '0')} copy`];
    await Promise.all(
      keys.map((Key) => client.s3.send(new PutObjectCommand({ Bucket: 'private', Key, Body: Buffer.of() }))),
    );
  }
  await using storage = await openStorage(addressOf(started.endpoint, 'private'));
  assert.deepEqual(await storage.list('many/', { limit: 5_000 }), names);
  assert.deepEqual(await storage.list('many/', { limit: 60 }), names.slice(0, 60));
  assert.deepEqual(await storage.list('many/', { limit: 1_100, after: 'many/00099' }), names.slice(100, 1_200));
});

s3Test('a wrong bucket, wrong credentials and a server that is down are told apart', async (_, started) => {
  await using lost = await openStorage(addressOf(started.endpoint, 'nowhere'));
  await assert.rejects(
    lost.prove(),
    failsWith('bad_address', /NoSuchBucket, 404\): create the bucket or name another/),
  );
  await assert.rejects(lost.read('a'), failsWith('bad_address', /NoSuchBucket/));
  await assert.rejects(lost.list('a/', { limit: 1 }), failsWith('bad_address', /NoSuchBucket/));
  await using stranger = await openStorage(addressOf(started.endpoint, 'private', '&anonymous=true'));
  await assert.rejects(stranger.prove(), failsWith('denied', /AccessDenied, 403\): check the credentials/));
  await using down = await openStorage(addressOf('http://127.0.0.1:9', 'private'));
  await assert.rejects(down.prove(), failsWith('unavailable', /ECONNREFUSED/));
});

function s3Test(title: string, body: (t: TestContext, started: Radosgw) => Promise<void>): void {
  test(title, async (t) => {
    if (server.kind === 'missing') t.skip(server.reason);
    else await body(t, server);
  });
}

function addressOf(endpoint: string, bucket: string, more = ''): string {
  return `s3://${bucket}?endpoint=${endpoint}&path_style=true${more}`;
}

function clientOf({ endpoint }: Radosgw): Disposable & { s3: S3Client } {
  const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  return { s3, [Symbol.dispose]: () => s3.destroy() };
}

function failsWith(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

/** What the proxy does in its own way; everything else passes. */
type Interference = {
  /** Changes what the server is told. */
  request?: (headers: IncomingMessage['headers']) => void;
  /** The server never hears of it; `answer` answers. */
  keepFromServer?: (sent: IncomingMessage) => boolean;
  /** Called when the server has answered; true when it took over. */
  answer?: (sent: IncomingMessage, answer: ServerResponse) => boolean;
  /** Called for each piece of an answer's body. */
  piece?: (sent: IncomingMessage, answer: ServerResponse, forwardedBytes: number) => void;
};

async function startProxy(interference: Interference) {
  if (server.kind === 'missing') throw new Error(server.reason);
  const target = new URL(server.endpoint);
  const proxy = createServer((sent, answer) => {
    if (interference.keepFromServer?.(sent) === true) {
      sent.resume();
      sent.on('end', () => interference.answer?.(sent, answer));
      return;
    }
    const headers = { ...sent.headers };
    interference.request?.(headers);
    const onward = request({ host: target.hostname, port: target.port, method: sent.method, path: sent.url, headers });
    onward.on('response', (received) => {
      if (interference.answer?.(sent, answer) === true) return received.resume();
      answer.writeHead(received.statusCode ?? 502, received.headers);
      let forwardedBytes = 0;
      received.on('data', (piece: Buffer) => {
        forwardedBytes += piece.length;
        interference.piece?.(sent, answer, forwardedBytes);
      });
      return received.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    sent.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    address: (bucket: string, more = '') => addressOf(endpoint, bucket, more),
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
