import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startRadosgw, type NoRadosgw, type Radosgw } from '../support/radosgw.ts';
import { STORAGE_VARIABLE } from './api-under-test.ts';

/** The contract once more, with its files and records in a bucket. */
const SUITES = ['batches', 'files', 'openapi', 'recovery', 'results-route'];

let server: Radosgw | NoRadosgw;

before(async () => {
  server = await startRadosgw();
});
after(() => server[Symbol.asyncDispose]());

for (const suite of SUITES) {
  test(`with S3: ${suite}`, async (t) => {
    if (server.kind === 'missing') return t.skip(server.reason);
    const { endpoint, accessKey, secretKey } = server;
    const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: suite }));
    client.destroy();
    const { NODE_TEST_CONTEXT: _mine, ...env } = process.env;
    const file = fileURLToPath(new URL(`${suite}.test.ts`, import.meta.url));
    const child = spawn(process.execPath, ['--test', '--test-reporter=spec', file], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...env,
        AWS_ACCESS_KEY_ID: accessKey,
        AWS_SECRET_ACCESS_KEY: secretKey,
        [STORAGE_VARIABLE]: `s3://${suite}?endpoint=${endpoint}&path_style=true`,
      },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0, output);
    assert.match(output, /pass [1-9]/);
  });
}
