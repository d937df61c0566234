/**
 * Writes what the Python scripts train on, into a folder outside the repository:
 *   node write-training-data.ts sample DIRECTORY COUNT [orders]         → sample.jsonl, for the tokenizer
 *   node write-training-data.ts shards DIRECTORY SPLIT COUNT [orders]   → SPLIT.tokens.u16 and SPLIT.lengths.u16
 * Those of the orders lie in DIRECTORY/orders. Tokens come from the server's own tokenizer, so that training and serving
 * stay the same.
 */
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAnswer } from '../src/documents/answer.ts';
import type { Split } from '../src/documents/generate.ts';
import { generateDocument } from '../src/documents/generate.ts';
import { writeOrderAnswer } from '../src/documents/orders/answer.ts';
import type { OrderSplit } from '../src/documents/orders/generate.ts';
import { generateOrder } from '../src/documents/orders/generate.ts';
import { encodeTurns, END, ASSISTANT, loadTokenizer } from '../src/engine/tokenizer.ts';

interface Example {
  readonly text: string;
  readonly answer: string;
  readonly difficulty: number;
}

/** What one pair of models is trained on. */
interface ExampleSet {
  /** Its folder in DIRECTORY and among the weights. */
  readonly folder: string;
  readonly example: (seed: number, split: string) => Example;
}

const DOCUMENTS: ExampleSet = {
  folder: '',
  example: (seed, split) => {
    const { text, truth, difficulty } = generateDocument(seed, { split: split as Split });
    return { text, answer: writeAnswer(truth), difficulty };
  },
};

const ORDERS: ExampleSet = {
  folder: 'orders',
  example: (seed, split) => {
    const { text, truth, difficulty } = generateOrder(seed, { split: split as OrderSplit });
    return { text, answer: writeOrderAnswer(truth), difficulty };
  },
};

function writeSample(set: ExampleSet, directory: string, count: number): void {
  const lines: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    const { text, answer } = set.example(seed, 'train');
    lines.push(JSON.stringify({ text, answer }));
  }
  writeFileSync(join(directory, 'sample.jsonl'), `${lines.join('\n')}\n`);
}

/** Per document: its tokens in one stream; in the other its length in all, the length of the prompt, its difficulty in 1/1000. */
async function writeShards(set: ExampleSet, directory: string, split: string, count: number): Promise<void> {
  const tokenizer = loadTokenizer(new URL(join('../weights', set.folder, 'tokenizer.json'), import.meta.url));
  const tokens = createWriteStream(join(directory, `${split}.tokens.u16`));
  const lengths = new Uint16Array(count * 3);
  for (let seed = 0; seed < count; seed++) {
    const { text, answer, difficulty } = set.example(seed, split);
    const prompt = [...encodeTurns(tokenizer, [{ role: 'user', content: text }]), ASSISTANT];
    const all = [...prompt, ...tokenizer.encode(answer), END];
    lengths.set([all.length, prompt.length, Math.round(difficulty * 1000)], seed * 3);
    if (!tokens.write(Buffer.from(Uint16Array.from(all).buffer))) await once(tokens, 'drain');
  }
  await new Promise<void>((resolve, reject) => {
    tokens.on('error', reject);
    tokens.end(() => resolve());
  });
  writeFileSync(join(directory, `${split}.lengths.u16`), lengths);
}

const [what, place = '/tmp/training', ...rest] = process.argv.slice(2);
const set = rest.at(-1) === 'orders' ? ORDERS : DOCUMENTS;
const directory = join(place, set.folder);
mkdirSync(directory, { recursive: true });
if (what === 'sample') writeSample(set, directory, Number(rest[0] ?? 20000));
else if (what === 'shards') await writeShards(set, directory, rest[0] ?? 'train', Number(rest[1] ?? 1000));
else throw new Error('say sample or shards');
