import { parsePrompt, type Prompt } from '@spillway/core/prompt';
import { UserError } from '../client.ts';

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
