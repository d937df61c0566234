import type { EndpointUrl } from '@spillway/core';

export type SubmitOptions = {
  readonly id?: (index: number) => string;
  readonly window?: string;
  readonly model?: string;
  readonly endpoint?: EndpointUrl;
  readonly body?: Readonly<Record<string, unknown>>;
};

/** How each endpoint takes a prompt. */
const INPUTS: Readonly<Record<EndpointUrl, (prompt: string) => object>> = {
  '/v1/chat/completions': (prompt) => ({ messages: [{ role: 'user', content: prompt }] }),
  '/v1/completions': (prompt) => ({ prompt }),
  '/v1/responses': (prompt) => ({ input: prompt }),
};

export function requestLine(prompt: string, customId: string, options: SubmitOptions = {}): string {
  const url = options.endpoint ?? '/v1/chat/completions';
  const body = { model: options.model ?? 'test', ...INPUTS[url](prompt), ...options.body };
  return JSON.stringify({ custom_id: customId, method: 'POST', url, body });
}
