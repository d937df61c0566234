import { readFile, stat } from 'node:fs/promises';
import { SetupError, type Log } from '@spillway/runtime';
import { findKey, parseKeys, type KeyEntry } from './file.ts';

/** A changed file is noticed after this long at most. */
const LOOK_AGAIN_MS = 1_000;

/** The keys of a file, read again when it changes. */
export class KeyRing {
  readonly #path: string;
  readonly #log: Log;
  #entries: readonly KeyEntry[];
  #version: string;
  #lookedAtMs = Date.now();

  private constructor(path: string, log: Log, entries: readonly KeyEntry[], version: string) {
    this.#path = path;
    this.#log = log;
    this.#entries = entries;
    this.#version = version;
  }

  /** Throws a SetupError that names each broken line. */
  static async open(path: string, log: Log): Promise<KeyRing> {
    const version = await versionOf(path).catch((error: NodeJS.ErrnoException) => {
      throw new SetupError(
        `SPILLWAY_API_KEYS: cannot read ${path} (${error.code ?? error.message}): ` +
          'make it with `npm run keys -- add --tenant NAME`',
      );
    });
    const { entries, problems } = parseKeys(await readFile(path, 'utf8'));
    if (problems.length > 0) {
      throw new SetupError(`SPILLWAY_API_KEYS: ${path} is broken:\n  ${problems.join('\n  ')}`);
    }
    if (entries.length === 0) log.warn({ file: path }, 'no keys: every request is refused until one is added');
    return new KeyRing(path, log, entries, version);
  }

  async find(key: string): Promise<KeyEntry | null> {
    await this.#refresh();
    return findKey(this.#entries, key);
  }

  /** A file that is broken or gone leaves the keys as they were: a slip in an editor must not lock everybody out. */
  async #refresh(): Promise<void> {
    if (Date.now() - this.#lookedAtMs < LOOK_AGAIN_MS) return;
    this.#lookedAtMs = Date.now();
    try {
      const version = await versionOf(this.#path);
      if (version === this.#version) return;
      const { entries, problems } = parseKeys(await readFile(this.#path, 'utf8'));
      this.#version = version;
      if (problems.length > 0) {
        this.#log.error({ file: this.#path, problems }, 'the key file is broken: the keys read before stay in force');
        return;
      }
      this.#entries = entries;
      this.#log.info({ file: this.#path, keys: entries.length }, 'keys read again');
    } catch (error) {
      this.#log.error({ err: error }, 'the key file cannot be read: the keys read before stay in force');
    }
  }
}

async function versionOf(path: string): Promise<string> {
  const { mtimeNs, size, ino } = await stat(path, { bigint: true });
  return `${ino}.${size}.${mtimeNs}`;
}
