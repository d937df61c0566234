import { bar, describeProgress, recent, type Snapshot } from '../demo/progress.ts';
import type { Screen } from '../demo/screen.ts';
import type { LogFields, ProcessLine } from './process.ts';

/** How far a batch is; null: nobody knows right now. */
export type ReadSnapshot = (batch: string) => Promise<Snapshot | null>;

const LOOK_MS = 500;
/** Characters of a batch's id that tell it from others, where the line has to fit a terminal. */
const SHORT = 12;

const shown = (value: unknown): string => (typeof value === 'number' ? value.toLocaleString('en-US') : '?');
const seconds = (ms: unknown): string => (typeof ms === 'number' ? `${(ms / 1000).toFixed(1)} s` : '?');

/**
 * Says of each batch that it was validated and how it ended, by what the dispatcher logs; in between, on a terminal, how far
 * the newest one is, in one line that is written over.
 */
export class BatchLines implements Disposable {
  readonly #screen: Screen;
  /** Those in work, in the order of their validation, with how far they were before. */
  readonly #open = new Map<string, readonly Snapshot[]>();
  #timer: NodeJS.Timeout | null = null;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Looks how far batches are from now on. */
  watch(read: ReadSnapshot): void {
    this.#timer ??= setInterval(() => void this.look(read), LOOK_MS).unref();
  }

  see(line: ProcessLine): void {
    if (line.kind !== 'log' || line.service !== 'dispatcher') return;
    const { batch: id, ...fields } = line.fields;
    if (typeof id !== 'string') return;
    const text = textOf(line.message, fields);
    if (text === null) return;
    if (line.message === 'validated') this.#open.set(id, []);
    else this.#open.delete(id);
    this.#screen.line(`${id}  ${text}`);
  }

  /** Shows the newest batch in work. */
  async look(read: ReadSnapshot): Promise<void> {
    const [id, before] = [...this.#open].at(-1) ?? [];
    if (id === undefined || before === undefined) return;
    const now = await read(id).catch(() => null);
    if (now === null || !this.#open.has(id)) return;
    const history = recent(before, now);
    this.#open.set(id, history);
    const others = this.#open.size === 1 ? '' : ` · ${this.#open.size - 1} more in work`;
    this.#screen.progress(bar(now.done, now.total), `${id.slice(0, SHORT)}…  ${describeProgress(history)}${others}`);
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#screen.clear();
  }
}

/** What a line of the dispatcher's log means to whoever sent the batch; null: nothing. */
function textOf(message: string, fields: LogFields): string | null {
  if (message === 'validated') return `validated: ${shown(fields['documents'])} documents`;
  if (message === 'refused') return `refused: its file has ${shown(fields['errors'])} errors, which the batch names`;
  // Whoever ends one that was ended before only makes sure of it.
  if (message !== 'ended' || fields['final'] !== 'created') return null;
  const { outcome, completed, total, escalated, failed, tookMs } = fields;
  const bad = failed === 0 ? '' : `, ${shown(failed)} failed`;
  const counts = `${shown(completed)} of ${shown(total)} answered, ${shown(escalated)} escalated${bad}`;
  return `${String(outcome)} after ${seconds(tookMs)}: ${counts}`;
}
