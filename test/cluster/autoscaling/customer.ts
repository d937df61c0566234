import { OpenAI, toFile } from 'openai';
import { requestLine } from '../../support/request-line.ts';
import { isOver, until } from '../../support/system.ts';

/** Longer than Redis is away in this day. */
const MAX_AWAY_MS = 180_000;
const MAX_END_MS = 120_000;

/** Sends batches, and sees at the end that each has a line for every document. */
export class Customer {
  readonly #client: OpenAI;
  readonly #sent: { readonly batch: OpenAI.Batch; readonly documents: number }[] = [];

  constructor(origin: string, apiKey: string) {
    this.#client = new OpenAI({ baseURL: `${origin}/v1`, apiKey });
  }

  /** The first of every ten documents and so on are those that a drafter is not sure of. */
  async send(documents: number, unsureShare: number): Promise<void> {
    const lines = Array.from({ length: documents }, (_, index) => {
      const prompt = (index % 10) / 10 < unsureShare ? `[[drafter unsure]] ${index}` : `${index}`;
      return requestLine(prompt, `document-${index}`, { model: 'documents' });
    });
    const input = await toFile(Buffer.from(`${lines.join('\n')}\n`), 'input.jsonl');
    const file = await this.#client.files.create({ file: input, purpose: 'batch' });
    const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    await until(async () => {
      const batch = await this.#client.batches.create(order).catch(laterIf503);
      if (batch !== null) this.#sent.push({ batch, documents });
      return batch !== null;
    }, MAX_AWAY_MS);
  }

  /** Waits for the ends of all batches; how many documents they have, and how many of them have their answer. */
  async account(): Promise<{ batches: number; documents: number; answered: number; distinct: number }> {
    const account = { batches: this.#sent.length, documents: 0, answered: 0, distinct: 0 };
    for (const { batch, documents } of this.#sent) {
      let ended = batch;
      await until(async () => {
        ended = await this.#client.batches.retrieve(batch.id);
        return isOver(ended);
      }, MAX_END_MS);
      const text = ended.output_file_id == null ? '' : await this.#output(ended.output_file_id);
      const ids = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { custom_id: string }]));
      account.documents += documents;
      account.answered += ids.length;
      account.distinct += new Set(ids.map((one) => one.custom_id)).size;
    }
    return account;
  }

  async #output(id: string): Promise<string> {
    return await (await this.#client.files.content(id)).text();
  }
}

/** While Redis is away no batch is taken; a client comes again. */
function laterIf503(error: unknown): null {
  if (error instanceof OpenAI.APIError && error.status === 503) return null;
  throw error;
}
