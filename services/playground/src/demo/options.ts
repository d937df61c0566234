import { resolve } from 'node:path';
import { SetupError, type Env } from '@spillway/runtime';

export type DemoOptions =
  | { readonly kind: 'help' }
  | { readonly kind: 'generated'; readonly count: number }
  /** The documents are written down, and nothing is run. */
  | { readonly kind: 'written'; readonly count: number; readonly path: string }
  | { readonly kind: 'file'; readonly path: string };

const DEFAULT_COUNT = 1_000;
/** The generator is quick, but asking each model by itself afterwards takes a minute per some thousand documents. */
const MAX_COUNT = 100_000;

export const HELP = `npm run demo [-- options]

Runs the whole of Spillway on this machine with two tiny embedded models, sends it 1,000 generated business documents
as one batch, and says how the cascade did. Everything is private and temporary but the results, which are put into
./.spillway/demo.

  --documents N   so many generated documents, 1 to ${MAX_COUNT.toLocaleString('en-US')} (default ${DEFAULT_COUNT.toLocaleString('en-US')})
  --input FILE    your own documents, one JSON object a line:
                    {"custom_id": "…", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": […]}}
                      a line of an OpenAI batch file; body.model is replaced by the demo's cascade
                    {"text": "…"}
                      a document; custom_id is optional (line-<number>)
                  The embedded models read short invoices, receipts, payslips and the like, and nothing else; there
                  is no truth to compare with, so no accuracy. For your own models: npm start.
  --write FILE    only write the generated documents, as the input of a batch for the cascade "documents" of npm start
  --help          this text

REDIS_URL: a Redis that already runs, instead of a private one; the demo removes its keys there.
`;

/** Reads the command line; throws a SetupError in one line for what it does not know. */
export function readOptions(args: readonly string[], env: Env): DemoOptions {
  let count: number | null = null;
  let path: string | null = null;
  let writtenTo: string | null = null;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [name, inline] = splitOption(arg);
    if (name === '--help' || name === '-h') return { kind: 'help' };
    if (name !== '--documents' && name !== '--input' && name !== '--write') {
      throw new SetupError(`unknown option "${arg}": expected --documents N, --input FILE, --write FILE or --help`);
    }
    const value = inline ?? rest.shift();
    if (value === undefined || value === '') throw new SetupError(`${name}: expected a value after it`);
    if (name === '--documents') count = readCount(value);
    else if (name === '--input') path = value;
    else writtenTo = value;
  }
  if (path !== null && writtenTo !== null) {
    throw new SetupError('--input and --write: expected one of them, what is written is generated');
  }
  if (path !== null && count !== null) {
    throw new SetupError('--documents and --input: expected one of them, the file says how many documents there are');
  }
  // npm runs scripts in the package's root, but the user means a path from where the command was typed.
  const fromThere = (one: string): string => resolve(env['INIT_CWD'] ?? '.', one);
  if (path !== null) return { kind: 'file', path: fromThere(path) };
  const many = count ?? DEFAULT_COUNT;
  return writtenTo === null
    ? { kind: 'generated', count: many }
    : { kind: 'written', count: many, path: fromThere(writtenTo) };
}

function splitOption(arg: string): [string, string | undefined] {
  const at = arg.indexOf('=');
  return at === -1 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)];
}

function readCount(value: string): number {
  const count = Number(value);
  if (!/^\d+$/.test(value) || count < 1 || count > MAX_COUNT) {
    throw new SetupError(`--documents: expected a whole number from 1 to ${MAX_COUNT}, got "${value}"`);
  }
  return count;
}
