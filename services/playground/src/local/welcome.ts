import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Configuration } from '@spillway/core';
import { demoDocuments } from '../documents/index.ts';
import type { DataPlace } from './data.ts';
import { wantedPlaygrounds } from './services.ts';

export type WelcomeFacts = {
  readonly api: { readonly host: string; readonly port: number };
  readonly configuration: Configuration;
  readonly data: DataPlace;
  readonly withKeys: boolean;
};

/** Addresses that mean "all of this machine's" are no address to talk to. */
const ANY_HOST: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

const EXAMPLES = 5;

/** Writes an example of a batch that the configured models can do, and says how to send it. */
export async function writeWelcome(say: (line: string) => void, facts: WelcomeFacts): Promise<void> {
  const { api, configuration, data, withKeys } = facts;
  const host = ANY_HOST.has(api.host) ? '127.0.0.1' : api.host;
  const baseUrl = `http://${host.includes(':') ? `[${host}]` : host}:${api.port}/v1`;
  const cascades = Object.keys(configuration.cascades);
  const example = join(data.directory, 'example.jsonl');
  const hasPlayground = wantedPlaygrounds(configuration).length > 0;
  await writeFile(example, exampleLines(cascades[0] ?? '', hasPlayground));
  const path = relative(process.cwd(), example) || example;
  const shownKey = withKeys ? 'YOUR_KEY' : 'none';
  say(`Spillway is ready at ${baseUrl}  (cascades: ${cascades.join(', ')}; data in ${data.directory}; Ctrl-C stops)`);
  say(`\nIn the browser: ${baseUrl.replace(/v1$/, '')}`);
  say(`\nAn example lies in ${path}: ${exampleIs(hasPlayground)}, one request a line, "model" names the cascade.`);
  say(`\nFrom a folder of documents to a table: ${commandLine(baseUrl, withKeys)}`);
  say(`\n── curl ──\n${curlLines(baseUrl, path, withKeys)}`);
  say(`\n── Node (npm install openai) ──\n${nodeSnippet(baseUrl, path, shownKey)}`);
  say(`\n── Python (pip install openai) ──\n${pythonSnippet(baseUrl, path, shownKey)}`);
}

const exampleIs = (hasPlayground: boolean): string =>
  hasPlayground ? `${EXAMPLES} documents of the kind that the embedded models read` : 'two small questions';

/** The embedded models know one task only; other models can answer anything. */
function exampleLines(cascade: string, hasPlayground: boolean): string {
  const bodies = hasPlayground
    ? demoDocuments(EXAMPLES, 0).map((document) => document.body)
    : ['What is the capital of France? Answer with one word.', 'What is 17 + 25? Answer with the number.'].map(
        (content) => ({ messages: [{ role: 'user', content }] }),
      );
  return bodies
    .map((body, index) => ({
      custom_id: `example-${index + 1}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: cascade, ...body },
    }))
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
}

/** The command for files, with the address where that is not the one it takes by itself. */
function commandLine(baseUrl: string, withKeys: boolean): string {
  const url = baseUrl.replace(/\/v1$/, '');
  const variables = [
    ...(url === 'http://127.0.0.1:8080' ? [] : [`SPILLWAY_URL=${url} `]),
    ...(withKeys ? ['SPILLWAY_API_KEY=YOUR_KEY '] : []),
  ];
  return `${variables.join('')}npx spillway run FOLDER --out answers.csv`;
}

function curlLines(baseUrl: string, path: string, withKeys: boolean): string {
  const key = withKeys ? ' -H "Authorization: Bearer YOUR_KEY"' : '';
  const idOf = `sed -E 's/.*"id":"([^"]+)".*/\\1/'`;
  return `FILE=$(curl -s${key} ${baseUrl}/files -F purpose=batch -F file=@${quote(path)} | ${idOf})
BATCH=$(curl -s${key} ${baseUrl}/batches -H 'Content-Type: application/json' -d '{"input_file_id":"'$FILE'","endpoint":"/v1/chat/completions","completion_window":"24h"}' | ${idOf})
until curl -s${key} ${baseUrl}/batches/$BATCH | grep -qE '"status":"(completed|failed|expired|cancelled)"'; do sleep 1; done
OUTPUT=$(curl -s${key} ${baseUrl}/batches/$BATCH | sed -nE 's|.*"output_file_id":"([^"]+)".*|files/\\1/content|p')
curl -s${key} ${baseUrl}/\${OUTPUT:-batches/$BATCH}`;
}

const quote = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function nodeSnippet(baseUrl: string, path: string, key: string): string {
  return `import fs from 'node:fs';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${baseUrl}', apiKey: '${key}' });
const file = await client.files.create({ file: fs.createReadStream(${JSON.stringify(path)}), purpose: 'batch' });
let batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  batch = await client.batches.retrieve(batch.id);
}
if (!batch.output_file_id) throw new Error('no answers: ' + JSON.stringify(batch.errors ?? batch.error_file_id));
console.log(await (await client.files.content(batch.output_file_id)).text());`;
}

function pythonSnippet(baseUrl: string, path: string, key: string): string {
  return `import time
from openai import OpenAI

client = OpenAI(base_url="${baseUrl}", api_key="${key}")
file = client.files.create(file=open(${JSON.stringify(path)}, "rb"), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
while batch.status not in ("completed", "failed", "expired", "cancelled"):
    time.sleep(1)
    batch = client.batches.retrieve(batch.id)
if not batch.output_file_id:
    raise SystemExit(f"no answers: {batch.errors or batch.error_file_id}")
print(client.files.content(batch.output_file_id).text)`;
}
