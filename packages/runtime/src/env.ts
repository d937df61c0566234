import { pathToFileURL } from 'node:url';

/** The environment of a process. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Something about the surroundings that an operator must mend; its message is one line that says what and how. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
}

/** Reads typed values from the environment and keeps every problem, so that all are told at once. */
export class EnvReader {
  readonly #env: Env;
  readonly #problems: string[] = [];

  constructor(env: Env) {
    this.#env = env;
  }

  /** An empty variable counts as unset. */
  text(name: string): string | null {
    const value = this.#env[name];
    return value === undefined || value === '' ? null : value;
  }

  integer(name: string, range: { fallback: number; min: number; max: number }): number {
    const value = this.text(name);
    if (value === null) return range.fallback;
    const number = Number(value);
    if (!Number.isInteger(number) || number < range.min || number > range.max) {
      this.problem(`${name}: expected a whole number from ${range.min} to ${range.max}, got "${value}"`);
      return range.fallback;
    }
    return number;
  }

  oneOf<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice {
    const value = this.text(name);
    if (value === null) return fallback;
    if ((choices as readonly string[]).includes(value)) return value as Choice;
    this.problem(`${name}: expected one of ${choices.join(', ')}, got "${value}"`);
    return fallback;
  }

  list(name: string): string[] | null {
    const value = this.text(name);
    if (value === null) return null;
    return value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }

  problem(text: string): void {
    this.#problems.push(text);
  }

  /** Throws one SetupError with every problem found. */
  check(): void {
    if (this.#problems.length === 0) return;
    const [first, ...rest] = this.#problems;
    throw new SetupError(
      rest.length === 0 ? first : `${this.#problems.length} problems:\n  ${this.#problems.join('\n  ')}`,
    );
  }
}

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** The address of the storage that the environment names: exactly one of its two variables. */
export function storageAddress(reader: EnvReader): string {
  const directory = reader.text('SPILLWAY_DATA_DIR');
  const address = reader.text('SPILLWAY_STORAGE');
  if ((directory === null) === (address === null)) {
    reader.problem(
      'SPILLWAY_DATA_DIR or SPILLWAY_STORAGE: expected one of them, a directory or file:///… or s3://bucket/prefix',
    );
    return '';
  }
  return address ?? pathToFileURL(directory ?? '').href;
}
