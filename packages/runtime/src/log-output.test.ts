import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { LogOutput, MAX_UNREAD_CHARACTERS } from './log-output.ts';

/** A pipe whose reader reads when it is told to. */
class Pipe extends Writable {
  text = '';
  #isRead = false;
  #waiting: (() => void)[] = [];

  constructor() {
    super({ decodeStrings: false });
  }

  read(): void {
    this.#isRead = true;
    for (const written of this.#waiting.splice(0)) written();
  }

  override _write(chunk: unknown, _encoding: string, written: () => void): void {
    this.text += String(chunk);
    if (this.#isRead) written();
    else this.#waiting.push(written);
  }
}

const LINE = `${'x'.repeat(1023)}\n`;
const HELD = MAX_UNREAD_CHARACTERS / LINE.length;

test('what nobody reads is kept up to a bound, then dropped and told of by its number once somebody reads', async () => {
  const pipe = new Pipe();
  const dropped: number[] = [];
  const output = new LogOutput(pipe, (lines) => dropped.push(lines));
  for (let line = 0; line < HELD + 7; line += 1) output.write(LINE);
  assert.equal(pipe.writableLength, MAX_UNREAD_CHARACTERS);
  const startedAtMs = performance.now();
  await output.flush(50);
  assert.ok(performance.now() - startedAtMs >= 45, 'it waits for the reader as long as it was told to');
  assert.deepEqual(dropped, []);
  pipe.read();
  await output.flush(10_000);
  assert.deepEqual(dropped, [7]);
  assert.equal(pipe.text.length, MAX_UNREAD_CHARACTERS);
  output.write('read\n');
  assert.ok(pipe.text.endsWith('read\n'));
});

test('at the end few lines are waited for as many are, until they are read', async () => {
  const pipe = new Pipe();
  const output = new LogOutput(pipe, () => assert.fail('nothing was dropped'));
  output.write('a\n');
  output.write('b\n');
  const startedAtMs = performance.now();
  const flushed = output.flush(60_000);
  setImmediate(() => pipe.read());
  await flushed;
  assert.ok(performance.now() - startedAtMs < 30_000);
  assert.equal(pipe.text, 'a\nb\n');
});

test('a reader who is gone costs the lines, and nothing is waited for', async () => {
  const pipe = new Pipe();
  const output = new LogOutput(pipe, () => assert.fail('nobody could read it'));
  output.write('a\n');
  pipe.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  await new Promise(setImmediate);
  output.write('b\n');
  await output.flush(60_000);
  assert.equal(pipe.text, 'a\n');
});
