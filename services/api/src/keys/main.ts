import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { SetupError } from '@spillway/runtime';
import { keyFileOf } from '../config.ts';
import { addKey, describeKey, listKeys, removeKeys } from './edit.ts';
import { hashKey, keyOf, parseKeys } from './file.ts';

const USAGE = `npm run keys -- add --tenant NAME [--role tenant|admin] [--file PATH]
                     [--open-batches N] [--queued-documents N] [--stored-bytes N]
npm run keys -- first --tenant NAME [--file PATH]     the same, unless the file has a key already
npm run keys -- list [--file PATH]
npm run keys -- remove --tenant NAME | --hash PREFIX [--file PATH]
`;

const OPTIONS = {
  tenant: { type: 'string' },
  role: { type: 'string', default: 'tenant' },
  'open-batches': { type: 'string' },
  'queued-documents': { type: 'string' },
  'stored-bytes': { type: 'string' },
  hash: { type: 'string' },
  file: { type: 'string' },
} as const;

async function run(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  const path = values.file ?? keyFileOf(process.env);
  const text = await readText(path);
  if (positionals.length !== 1) throw new SetupError(`expected one command:\n${USAGE}`);
  const [command] = positionals;
  if (command === 'first' && parseKeys(text).entries.length > 0) {
    process.stderr.write(`${path} has keys already, none was made; another one: keys add --tenant NAME\n`);
  } else if (command === 'add' || command === 'first') {
    const key = keyOf(randomBytes(32));
    const limits = {
      open_batches: values['open-batches'],
      queued_documents: values['queued-documents'],
      stored_bytes: values['stored-bytes'],
    };
    const order = { tenant: values.tenant, role: values.role, sha256: hashKey(key), limits };
    await replace(path, addKey(text, order).text);
    process.stderr.write(`A new key for ${values.tenant}, shown this once; ${path} holds only its hash:\n`);
    process.stdout.write(`${key}\n`);
  } else if (command === 'list') {
    process.stdout.write(listKeys(text));
  } else if (command === 'remove') {
    const change = removeKeys(text, { tenant: values.tenant, hash: values.hash });
    await replace(path, change.text);
    process.stdout.write(change.keys.map(describeKey).join(''));
  } else {
    throw new SetupError(`unknown command "${command}":\n${USAGE}`);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Replaces the file as a whole, so that the API never reads half of it. */
async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`spillway keys: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
