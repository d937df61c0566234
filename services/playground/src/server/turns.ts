import type { Turn } from '../engine/tokenizer.ts';
import type { Body } from './fields.ts';
import { isBody } from './fields.ts';
import { invalidField } from './protocol-error.ts';

/** Where the messages stand in a request, and what the parts of their contents may be called. */
export interface TurnFields {
  readonly name: string;
  readonly partTypes: readonly unknown[];
}

function readContent(message: Body, param: string, partTypes: readonly unknown[]): string {
  const { content } = message;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalidField(param, 'a string or a list of text parts');
  return content
    .map((part: unknown) => {
      if (!isBody(part) || !partTypes.includes(part['type']) || typeof part['text'] !== 'string')
        throw invalidField(param, 'made of text parts only');
      return part['text'];
    })
    .join('');
}

/** System messages are read and dropped: the models were trained without any and know one task. */
export function readTurns(body: Body, { name, partTypes }: TurnFields): Turn[] {
  const messages = body[name];
  if (!Array.isArray(messages) || messages.length === 0) throw invalidField(name, 'a list of at least one message');
  return messages.flatMap((message: unknown, i): Turn[] => {
    if (!isBody(message)) throw invalidField(`${name}[${i}]`, 'an object');
    // Only items of the Responses API have a type, and those that are not messages belong to tools and to reasoning.
    if ((message['type'] ?? 'message') !== 'message') throw invalidField(`${name}[${i}].type`, 'message');
    const content = readContent(message, `${name}[${i}].content`, partTypes);
    switch (message['role']) {
      case 'user':
      case 'assistant':
        return [{ role: message['role'], content }];
      case 'system':
      case 'developer':
        return [];
      default:
        throw invalidField(`${name}[${i}].role`, 'system, developer, user or assistant');
    }
  });
}
