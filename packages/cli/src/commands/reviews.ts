import type { Command } from 'commander';
import { counted } from '@spillway/core/amounts';
import { z } from 'zod';
import { batchPath } from '../batch/watch.ts';
import type { ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { openFile, openStdout } from '../rows/sink.ts';

const page = z.object({
  data: z.array(z.object({ custom_id: z.string(), answer: z.string() })),
  cursor: z.string().nullable(),
  has_more: z.boolean(),
});

type Options = { readonly out?: string };

export function addReviews(program: Command, { terminal, api: open }: Context): void {
  program
    .command('reviews <batch>')
    .description('the right answers that people named in reviews, as labels: what calibrate --labels takes')
    .option('-o, --out <file>', 'where they go; standard output without it')
    .action(async (batch: string, { out }: Options) => {
      const sink = out === undefined ? openStdout() : openFile(out);
      let labels = 0;
      try {
        for await (const { custom_id: customId, answer } of readReviews(open(), batch)) {
          await sink.write(`${JSON.stringify({ custom_id: customId, answer })}\n`);
          labels += 1;
        }
        await sink.end();
      } catch (error) {
        await sink.abandon();
        throw error;
      }
      if (out !== undefined) terminal.say(`${counted(labels, 'label')} in ${out}`);
    });
}

async function* readReviews(api: ApiClient, batch: string): AsyncGenerator<z.output<typeof page>['data'][number]> {
  const query = new URLSearchParams({ limit: '1000' });
  for (;;) {
    const {
      data,
      cursor,
      has_more: hasMore,
    } = page.parse(await api.get(`${batchPath(batch)}/reviews?${query.toString()}`));
    yield* data;
    if (!hasMore || cursor === null) return;
    query.set('after', cursor);
  }
}
