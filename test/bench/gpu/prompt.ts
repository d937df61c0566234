import { hash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '@spillway/core';
import type { Blocks } from './prefix-cache.ts';

/** Characters of a token, in English and as tokenizers count it on average. */
const TOKEN_CHARACTERS = 4;

export const tokensOf = (text: string): number => Math.max(1, Math.ceil(text.length / TOKEN_CHARACTERS));

/** The whole leading blocks of a prompt, each named by all the text up to its end. */
export function blocksOf(text: string, blockTokens: number, tokenCharacters = TOKEN_CHARACTERS): Blocks {
  const characters = Math.max(1, Math.round(blockTokens * tokenCharacters));
  const blocks: string[] = [];
  for (let end = characters, before = ''; end <= text.length; end += characters) {
    before = hash('sha1', before + text.slice(end - characters, end), 'base64');
    blocks.push(before);
  }
  return blocks;
}

/** All that a model reads of a request, in order: a system message that many share stands at its start. */
export function textOf(body: JsonObject): string {
  const said = body['messages'] ?? body['prompt'] ?? body['input'] ?? '';
  if (!Array.isArray(said)) return typeof said === 'string' ? said : JSON.stringify(said);
  return said
    .map((one) => {
      const { role = '', content = one } = isJsonObject(one) ? one : {};
      return `${JSON.stringify(role)}\n${typeof content === 'string' ? content : JSON.stringify(content)}\n`;
    })
    .join('');
}
