// The cascade as one would write it by hand: the stock SDK, so many documents at a time, every result appended to a file
// where RESULTS names one. No queue, nothing survives. A process of its own: DRAFTER, EXPERT, DOCUMENTS,
// WARM_UP, CONCURRENCY, TIMES that the documents are asked for.
import { appendFile } from 'node:fs/promises';
import { OpenAI } from 'openai';
import { prompts } from './processes.ts';

const {
  DRAFTER = '',
  EXPERT = '',
  DOCUMENTS = '0',
  WARM_UP = '0',
  CONCURRENCY = '1',
  TIMES = '1',
  RESULTS = '',
} = process.env;
const drafter = new OpenAI({ baseURL: DRAFTER, apiKey: 'none' });
const expert = new OpenAI({ baseURL: EXPERT, apiKey: 'none' });

async function answer(content: string): Promise<OpenAI.ChatCompletion> {
  const messages = [{ role: 'user' as const, content }];
  const draft = await drafter.chat.completions.create({ model: 'small', messages, logprobs: true });
  const tokens = draft.choices[0]?.logprobs?.content ?? [];
  const sum = tokens.reduce((total, { logprob }) => total + logprob, 0);
  if (tokens.length > 0 && Math.exp(sum) >= 0.8) return draft;
  return await expert.chat.completions.create({ model: 'large', messages });
}

/** Seconds that some documents take. */
async function run(work: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < work.length; index = next++) {
      const result = await answer(work[index] ?? '');
      if (RESULTS !== '') await appendFile(RESULTS, `${JSON.stringify({ id: `doc-${index}`, result })}\n`);
    }
  };
  await Promise.all(Array.from({ length: Number(CONCURRENCY) }, lane));
  return (performance.now() - startedMs) / 1_000;
}

await run(prompts(Number(WARM_UP)));
const seconds: number[] = [];
while (seconds.length < Number(TIMES)) seconds.push(await run(prompts(Number(DOCUMENTS))));
process.stdout.write(`${JSON.stringify({ seconds })}\n`);
process.exit(0);
