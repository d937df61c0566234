import type { ResultLine } from '@spillway/core';

type Stage = NonNullable<ResultLine['cascade']>['stages'][number];

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const firstOf = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);

/** The text of what an endpoint answered; null: it has none. */
export function answerOf({ response }: Pick<ResultLine, 'response'>): string | null {
  if (response === null || response.status_code >= 400 || !isObject(response.body)) return null;
  const { body } = response;
  const choice = firstOf(body['choices']);
  if (isObject(choice)) {
    const { message, text } = choice;
    return isObject(message) ? textOf(message['content']) : textOf(text);
  }
  const output: readonly unknown[] = Array.isArray(body['output']) ? body['output'] : [];
  return textOf(output.flatMap((item) => (isObject(item) && Array.isArray(item['content']) ? item['content'] : [])));
}

function textOf(content: unknown): string | null {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return null;
  const texts = content.flatMap((part) => (isObject(part) && typeof part['text'] === 'string' ? [part['text']] : []));
  return texts.length === 0 ? null : texts.join('');
}

/** Why a document has no answer; null: it has one. */
export function errorOf({ response, error }: Pick<ResultLine, 'response' | 'error'>): string | null {
  if (error !== null) return `${error.code}: ${error.message}`;
  if (response === null) return 'no response';
  if (response.status_code < 400) return null;
  const inner = isObject(response.body) ? response.body['error'] : null;
  const message = isObject(inner) && typeof inner['message'] === 'string' ? inner['message'] : '';
  return `${response.status_code} ${message}`.trim();
}

/** How sure the draft was that was judged last; null: none was judged. */
export const confidenceOf = ({ cascade }: ResultLine): number | null =>
  cascade?.stages.findLast(({ confidence }) => confidence !== null)?.confidence ?? null;

export const reasonOf = ({ cascade }: ResultLine): string | null =>
  cascade?.stages.findLast(({ reason }) => reason !== null)?.reason ?? null;

/** A draft that is not the answer, or what there was of one that was given up. */
export const draftOf = ({ draft, stopped }: Stage): string | null => draft?.text ?? stopped?.text ?? null;

/** A token of the answer, and how probable it was; only where the request asked for it. */
export type Token = { readonly text: string; readonly logprob: number };

export function tokensOf({ response }: Pick<ResultLine, 'response'>): readonly Token[] {
  const choice = response !== null && isObject(response.body) ? firstOf(response.body['choices']) : null;
  const logprobs = isObject(choice) ? choice['logprobs'] : null;
  const content: readonly unknown[] =
    isObject(logprobs) && Array.isArray(logprobs['content']) ? logprobs['content'] : [];
  return content.flatMap((one) => {
    if (!isObject(one) || typeof one['token'] !== 'string' || typeof one['logprob'] !== 'number') return [];
    return [{ text: one['token'], logprob: one['logprob'] }];
  });
}

/** The values of a JSON object by their pointers; null: the text is none. */
export function valuesOf(text: string): ReadonlyMap<string, string> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const values = new Map<string, string>();
  collect(value, '', values);
  return values;
}

/** More would be no table that somebody reads. */
const MAX_VALUES = 500;

function collect(value: unknown, at: string, values: Map<string, string>): void {
  if (values.size >= MAX_VALUES) return;
  const items = Array.isArray(value) ? [...value.entries()] : isObject(value) ? Object.entries(value) : null;
  if (items === null || items.length === 0) {
    values.set(at, typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
    return;
  }
  for (const [name, one] of items) collect(one, `${at}/${name}`, values);
}

type Message = { readonly role: string; readonly text: string };

/** What a request says as texts, and all else of it. */
export function messagesOf(body: unknown): { readonly messages: readonly Message[]; readonly rest: unknown } {
  if (!isObject(body)) return { messages: [], rest: body };
  const { messages, prompt, input, ...rest } = body;
  const texts = (Array.isArray(messages) ? messages : []).map((one: unknown): Message | null => {
    const text = isObject(one) ? textOf(one['content']) : null;
    return isObject(one) && text !== null ? { role: typeof one['role'] === 'string' ? one['role'] : '', text } : null;
  });
  const plain = typeof prompt === 'string' ? prompt : typeof input === 'string' ? input : null;
  if (plain !== null) return { messages: [{ role: 'prompt', text: plain }], rest };
  const known = texts.filter((one) => one !== null);
  // What is no text, such as an image, is shown as it stands.
  return known.length > 0 && known.length === texts.length ? { messages: known, rest } : { messages: [], rest: body };
}
