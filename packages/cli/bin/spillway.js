#!/usr/bin/env node
// Starts the command. Its TypeScript is run as it is, by Node 24: an older one hands over to that of the npm packages.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED = 24;
const main = new URL('../src/main.ts', import.meta.url);

/** The Node that `npm ci` brings, or null. */
function newerNode() {
  try {
    const binary = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
    return existsSync(binary) ? binary : null;
  } catch {
    return null;
  }
}

/** Runs it there with this terminal; signals that only this process gets are passed on. */
function handOver(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => {
    process.stderr.write(`spillway: cannot run ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  await import(main.href);
} else {
  const node = newerNode();
  if (node === null) {
    process.stderr.write(
      `spillway: Node ${NEEDED} is needed, this is ${process.versions.node}: run npm ci in the checkout, which brings it\n`,
    );
    process.exit(1);
  }
  handOver(node);
}
