/** Prompts with placeholders: the terminal and the console make the same requests of the same documents. */

/** A prompt cut at its placeholders: text, the name of a column, text, … */
export type Prompt = { readonly texts: readonly string[]; readonly names: readonly string[] };

const OPEN = '{{';
const CLOSE = '}}';
const ESCAPED = String.raw`\{{`;

/** Reads `{{column}}` in a prompt; `\{{` stands for two braces that are meant. */
export function parsePrompt(text: string): Prompt {
  const texts: string[] = [''];
  const names: string[] = [];
  for (let at = 0; at < text.length;) {
    const open = text.indexOf(OPEN, at);
    const close = open === -1 ? -1 : text.indexOf(CLOSE, open + OPEN.length);
    if (close === -1) {
      texts[texts.length - 1] += text.slice(at);
      break;
    }
    if (text.startsWith(ESCAPED, open - 1) && open > at) {
      texts[texts.length - 1] += `${text.slice(at, open - 1)}${OPEN}`;
      at = open + OPEN.length;
      continue;
    }
    texts[texts.length - 1] += text.slice(at, open);
    names.push(text.slice(open + OPEN.length, close).trim());
    texts.push('');
    at = close + CLOSE.length;
  }
  return { texts, names };
}

/** The prompt for a row: each placeholder is replaced by what the row has there, and nothing in that is a placeholder. */
export const renderPrompt = ({ texts, names }: Prompt, row: Readonly<Record<string, unknown>>): string =>
  texts.map((text, at) => (at === 0 ? text : `${cellText(valueOf(row, names[at - 1] ?? ''))}${text}`)).join('');

/** A name may be one that every object has. */
const valueOf = (row: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(row, name) ? row[name] : undefined;

/** A value as the text that stands for it in a prompt, or in CSV. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
