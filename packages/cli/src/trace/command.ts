import { isJsonObject, lineAnswer, type ResultLine } from '@spillway/core';
import type { Command } from 'commander';
import { z } from 'zod';
import { batchPath } from '../batch/watch.ts';
import type { ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { findLine } from './find.ts';
import { waterfall } from './waterfall.ts';

const shown = z.object({ request: z.unknown() });

export function addShow(program: Command, { terminal, api: open }: Context): void {
  program
    .command('show <batch> <custom_id>')
    .description('follow one document: its waits, what was decided and why, its drafts, answer and request')
    .option('--json', 'the result line and the request')
    .action(async (batch: string, customId: string, { json }: { json?: true }) => {
      const api = open();
      const line = await findLine(api, batch, customId);
      const request = await findRequest(api, batch, customId);
      if (json) return terminal.out(JSON.stringify({ result: line, request }));
      for (const text of waterfall(line)) terminal.out(text);
      for (const [title, text] of textsOf(line, request)) {
        terminal.out(`\n${terminal.paint('bold', title)}\n${text}`);
      }
    });
}

/** Drafts that were not final, the answer, and what was asked. */
function textsOf(line: ResultLine, request: unknown): [string, string][] {
  const drafts = (line.cascade?.stages ?? []).flatMap(({ model, draft, stopped }): [string, string][] => {
    const text = draft?.text ?? stopped?.text ?? null;
    return text === null ? [] : [[draft?.text == null ? `draft of ${model}, given up` : `draft of ${model}`, text]];
  });
  const answer = lineAnswer(line);
  const asked = isJsonObject(request) ? JSON.stringify(request['body'], null, 2) : null;
  return [
    ...drafts,
    ...(answer === null ? [] : [['answer', answer] satisfies [string, string]]),
    ...(asked === null ? [] : [['request', asked] satisfies [string, string]]),
  ];
}

/** The line of the input that asked; null where the file is gone. */
async function findRequest(api: ApiClient, batch: string, customId: string): Promise<unknown> {
  try {
    const query = new URLSearchParams({ custom_id: customId });
    return shown.parse(await api.get(`${batchPath(batch)}/document?${query.toString()}`)).request;
  } catch {
    // The result says what matters; an older API does not show documents.
    return null;
  }
}
