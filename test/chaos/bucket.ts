import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts';
import { startRadosgw, type Radosgw } from '../support/radosgw.ts';

/** An S3 storage behind a fault proxy, with a server of its own. */
export class Bucket implements AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly #server: Radosgw;

  private constructor(server: Radosgw, proxy: FaultProxy) {
    this.#server = server;
    this.proxy = proxy;
  }

  static async create(): Promise<Bucket> {
    const server = await startRadosgw();
    if (server.kind === 'missing') throw new Error(`no S3 server: ${server.reason}`);
    const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = server;
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: 'chaos' }));
    client.destroy();
    return new Bucket(server, await startFaultProxy({ target: endpoint }));
  }

  get secretKey(): string {
    return this.#server.secretKey;
  }

  /** For the services that write. */
  get env(): Readonly<Record<string, string>> {
    return {
      SPILLWAY_DATA_DIR: '',
      SPILLWAY_STORAGE: `s3://chaos?endpoint=http://127.0.0.1:${this.proxy.port}&path_style=true`,
      AWS_ACCESS_KEY_ID: this.#server.accessKey,
      AWS_SECRET_ACCESS_KEY: this.#server.secretKey,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}
