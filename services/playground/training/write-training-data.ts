/**
 * Writes what the Python scripts train on, into a folder outside the repository:
 *   node write-training-data.ts sample DIRECTORY COUNT            → sample.jsonl, for the tokenizer
 *   node write-training-data.ts shards DIRECTORY SPLIT COUNT      → SPLIT.tokens.u16 and SPLIT.lengths.u16
 * Tokens come from the server's own tokenizer, so that training and serving stay the same.
 */
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAnswer } from '../src/documents/answer.ts';
import type { Split } from '../src/documents/generate.ts';
import { generateDocument } from '../src/documents/generate.ts';
import { encodeTurns, END, ASSISTANT, loadTokenizer } from '../src/engine/tokenizer.ts';

function writeSample(directory: string, count: number): void {
  const lines: string[] = [];
  for (let seed = 0; seed < count; seed++) {
    const { text, truth } = generateDocument(seed, { split: 'train' });
    lines.push(JSON.stringify({ text, answer: writeAnswer(truth) }));
  }
  writeFileSync(join(directory, 'sample.jsonl'), `${lines.join('\n')}\n`);
}

/** Per document: its tokens in one stream; in the other its length in all, the length of the prompt, its difficulty in 1/1000. */
async function writeShards(directory: string, split: Split, count: number): Promise<void> {
  const tokenizer = loadTokenizer(new URL('../weights/tokenizer.json', import.meta.url));
  const tokens = createWriteStream(join(directory, `${split}.tokens.u16`));
  const lengths = new Uint16Array(count * 3);
  for (let seed = 0; seed < count; seed++) {
    const { text, truth, difficulty } = generateDocument(seed, { split });
    const prompt = [...encodeTurns(tokenizer, [{ role: 'user', content: text }]), ASSISTANT];
    const all = [...prompt, ...tokenizer.encode(writeAnswer(truth)), END];
    lengths.set([all.length, prompt.length, Math.round(difficulty * 1000)], seed * 3);
    if (!tokens.write(Buffer.from(Uint16Array.from(all).buffer))) await once(tokens, 'drain');
  }
  await new Promise<void>((resolve, reject) => {
    tokens.on('error', reject);
    tokens.end(() => resolve());
  });
  writeFileSync(join(directory, `${split}.lengths.u16`), lengths);
}

const [what, directory = '/tmp/training', ...rest] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
if (what === 'sample') writeSample(directory, Number(rest[0] ?? 20000));
else if (what === 'shards') await writeShards(directory, (rest[0] ?? 'train') as Split, Number(rest[1] ?? 1000));
else throw new Error('say sample or shards');
