import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { ThoughtOptions } from './completion.ts';
import type { Sliced } from '../text/slices.ts';
import { cutThought, type SaidText } from './said-text.ts';

/** The parts of a message of a response; none of any other item. */
export function partsOf(item: Json): readonly JsonObject[] {
  const content = isJsonObject(item) && item['type'] === 'message' ? item['content'] : undefined;
  return Array.isArray(content) ? content.filter((part: Json) => isJsonObject(part)) : [];
}

const isText = (part: Json): part is JsonObject & { readonly text: string } =>
  isJsonObject(part) && typeof part['text'] === 'string';

/** The texts of a response with their log-probs, in which there is no reasoning: that has items of its own. */
export const outputTexts = (output: readonly Json[]): readonly SaidText[] =>
  output.flatMap(partsOf).filter(isText).map(saidOf);

const saidOf = ({ text, logprobs }: JsonObject & { readonly text: string }): SaidText => ({
  text,
  logprobs: Array.isArray(logprobs) ? { content: logprobs } : undefined,
});

/**
 * The output of a response without the thought that its text begins with; kept, it is an item of its own before the
 * message, as of servers that take it out themselves.
 */
export function* withoutThought(
  output: readonly Json[],
  { request, usage, isKept }: ThoughtOptions,
): Sliced<readonly Json[]> {
  const cut = yield* cutThought(outputTexts(output), { request, usage, reasoned: false });
  if (cut === null) return output;
  const left = cut.texts.values();
  const shown = output.map((item): Json => {
    if (!isJsonObject(item) || !partsOf(item).some(isText)) return item;
    const content = (item['content'] as readonly Json[]).map((part) => (isText(part) ? withLeft(part, left) : part));
    // A part that was a thought and nothing else goes with it, unless nothing is left.
    const kept = content.filter((part, at) => !isText(part) || part.text !== '' || at === content.length - 1);
    return { ...item, content: kept };
  });
  const first = shown.findIndex((item) => partsOf(item).some(isText));
  return isKept && cut.thought !== '' && !isReasoned(output)
    ? shown.toSpliced(first, 0, thoughtItem(shown[first], cut.thought))
    : shown;
}

const isReasoned = (output: readonly Json[]): boolean =>
  output.some((item) => isJsonObject(item) && item['type'] === 'reasoning');

function withLeft(part: JsonObject, left: Iterator<SaidText>): Json {
  const said: SaidText | undefined = left.next().value;
  const content = isJsonObject(said?.logprobs) ? said.logprobs['content'] : undefined;
  return { ...part, text: said?.text ?? '', ...('logprobs' in part ? { logprobs: content ?? [] } : {}) };
}

function thoughtItem(message: Json | undefined, thought: string): JsonObject {
  const id = isJsonObject(message) && typeof message['id'] === 'string' ? message['id'] : '';
  return {
    type: 'reasoning',
    id: `rs_${id.replace(/^msg_/, '')}`,
    summary: [],
    content: [{ type: 'reasoning_text', text: thought }],
  };
}
