import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { SetupError } from '@spillway/runtime';
import { keyFileOf } from '../config.ts';
import { KeyFileDraft, readKeyFile } from './draft.ts';
import { addKey, describeKey, listKeys, removeKeys, type KeyOrder } from './edit.ts';
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
  const { values, positionals } = parsed(args);
  if (positionals.length !== 1) throw new SetupError(`expected one command:\n${USAGE}`);
  const path = values.file ?? keyFileOf(process.env);
  const [command] = positionals;
  if (command === 'add') {
    await add(path, values);
  } else if (command === 'first') {
    await first(path, values);
  } else if (command === 'list') {
    await print(listKeys(await readKeyFile(path)));
  } else if (command === 'remove') {
    await using draft = await KeyFileDraft.open(path);
    const change = removeKeys(draft.text, { tenant: values.tenant, hash: values.hash });
    await draft.write(change.text);
    await draft.commit();
    await print(change.keys.map(describeKey).join(''));
  } else {
    throw new SetupError(`unknown command "${command}":\n${USAGE}`);
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new SetupError(`${(error as Error).message}\n${USAGE}`);
  }
}

type Values = { readonly [Name in keyof typeof OPTIONS]?: string | undefined } & { readonly role: string };

async function add(path: string, values: Values): Promise<void> {
  await using draft = await KeyFileDraft.open(path);
  await addTo(draft, path, values);
}

/** Refuses a wrong file or command even where nothing is to be done. */
async function first(path: string, values: Values): Promise<void> {
  addKey(await readKeyFile(path), orderOf(values, ''));
  if (await tellOfKeys(path)) return;
  await using draft = await KeyFileDraft.open(path);
  if (!(await tellOfKeys(path))) await addTo(draft, path, values);
}

async function tellOfKeys(path: string): Promise<boolean> {
  if (parseKeys(await readKeyFile(path)).entries.length === 0) return false;
  process.stderr.write(`${path} has keys already, none was made; another one: keys add --tenant NAME\n`);
  return true;
}

/** The key is shown before it counts: one that could not be shown opens nothing. */
async function addTo(draft: KeyFileDraft, path: string, values: Values): Promise<void> {
  const key = keyOf(randomBytes(32));
  await draft.write(addKey(draft.text, orderOf(values, hashKey(key))).text);
  process.stderr.write(`A new key for ${values.tenant}, shown this once; ${path} holds only its hash:\n`);
  await print(`${key}\n`);
  await draft.commit();
}

function orderOf(values: Values, sha256: string): KeyOrder {
  const limits = {
    open_batches: values['open-batches'],
    queued_documents: values['queued-documents'],
    stored_bytes: values['stored-bytes'],
  };
  return { tenant: values.tenant, role: values.role, sha256, limits };
}

/** Throws where nobody takes it. */
async function print(text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.stdout.once('error', reject);
  process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  await promise;
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`spillway keys: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
