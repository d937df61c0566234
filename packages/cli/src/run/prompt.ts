import { UserError } from '../client.ts';
import { cellOf, cellText, type Row } from '../rows/row.ts';

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
export const renderPrompt = ({ texts, names }: Prompt, row: Row): string =>
  texts.map((text, at) => (at === 0 ? text : `${cellText(cellOf(row, names[at - 1] ?? ''))}${text}`)).join('');

/** Throws where a placeholder is no column; `where` names the file. */
export function checkPrompt({ names }: Prompt, columns: readonly string[], where: string): void {
  const unknown = names.find((name) => !columns.includes(name));
  if (unknown === undefined) return;
  throw new UserError(
    `the prompt asks for {{${unknown}}}, and ${where} has no such column: there ${columns.length === 1 ? 'is' : 'are'} ${columns.map((name) => `{{${name}}}`).join(', ')}`,
  );
}

/** What is asked where no prompt is given: the text of the document, which a table has only where a column is called so. */
export function plainPrompt(columns: readonly string[], where: string): Prompt {
  if (columns.includes('text')) return parsePrompt('{{text}}');
  const [only] = columns;
  if (columns.length === 1 && only !== undefined) return { texts: ['', ''], names: [only] };
  throw new UserError(
    `${where} has several columns: say with --prompt what to ask, such as --prompt 'Summarise: {{${only ?? 'text'}}}'; there are ${columns.map((name) => `{{${name}}}`).join(', ')}`,
  );
}
