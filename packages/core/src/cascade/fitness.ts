import type { EscalationReason } from '../confidence/index.ts';
import type { Json, JsonObject } from '../text/json.ts';

/** What a model is declared not to take. */
export type ModelLimits = {
  /** Of prompt and answer together; null: not declared. */
  readonly contextTokens: number | null;
  readonly images: boolean;
  readonly tools: boolean;
};

/** Hardly any text has more characters to a token than this, so that what is taken for too long surely is. */
const CHARACTERS_PER_TOKEN = 6;

const IMAGES = new Set(['image_url', 'input_image', 'image']);

/** Why a model cannot take a request, so that asking it would be a waste; null: it may. */
export function unfitReason(body: JsonObject, limits: ModelLimits): EscalationReason | null {
  if (!limits.tools && (isFilled(body['tools']) || isFilled(body['functions']))) return 'needs_tools';
  const { characters, hasImage } = contentOf(body);
  if (!limits.images && hasImage) return 'needs_image';
  if (limits.contextTokens === null) return null;
  const tokens = characters / CHARACTERS_PER_TOKEN + (mostAnswerTokens(body) ?? 0);
  return tokens > limits.contextTokens ? 'too_long' : null;
}

/** How many tokens an answer may have by its request; null: it does not say so. */
export function mostAnswerTokens(body: JsonObject): number | null {
  const asked = [body['max_completion_tokens'], body['max_tokens'], body['max_output_tokens']];
  return asked.find((value) => typeof value === 'number') ?? null;
}

const isFilled = (value: Json | undefined): boolean => Array.isArray(value) && value.length > 0;

/** The characters of a request's texts, and whether it shows an image. Without recursion: requests may be nested deep. */
export function contentOf(body: JsonObject): { readonly characters: number; readonly hasImage: boolean } {
  const stack: (Json | undefined)[] = [body['messages'], body['prompt'], body['input'], body['instructions']];
  let [characters, hasImage] = [0, false];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value === 'string') characters += value.length;
    else if (Array.isArray(value)) for (const inner of value as Json[]) stack.push(inner);
    else if (typeof value === 'object' && value !== null) {
      const part = value as JsonObject;
      if (typeof part['type'] === 'string' && IMAGES.has(part['type'])) hasImage = true;
      // An image's data is no text.
      else stack.push(part['text'], part['content']);
    }
  }
  return { characters, hasImage };
}
