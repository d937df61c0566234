import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';

/** An answer as it came. */
export type Answer = {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
};

/** One request without a library's help. */
export async function send(
  url: string,
  { body, ...options }: RequestOptions & { body?: string | Buffer } = {},
): Promise<Answer> {
  const call = request(url, { agent: false, ...options });
  call.end(body);
  return answerOf(call);
}

export async function answerOf(call: ClientRequest): Promise<Answer> {
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

export function json(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString('utf8')) as Record<string, unknown>;
}

/** The inside of an error envelope, which always has all four keys. */
export type Envelope = { message: string; type: string; param: string | null; code: string | null };

export function errorOf(answer: Answer): Envelope {
  return json(answer)['error'] as Envelope;
}

export const BOUNDARY = '----spillway-test';

export const MULTIPART = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

export type FormPart = { readonly name: string; readonly value: string | Buffer; readonly filename?: string };

/** A multipart body, part by part in the given order. */
export function formOf(parts: readonly FormPart[]): Buffer {
  const pieces = parts.flatMap(({ name, value, filename }) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"`),
    Buffer.from(filename === undefined ? '\r\n\r\n' : `; filename="${filename}"\r\n\r\n`),
    Buffer.from(value as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}
