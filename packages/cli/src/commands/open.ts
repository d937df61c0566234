import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import type { Context } from '../context.ts';

const OPENERS: Readonly<Record<string, string>> = { darwin: 'open', win32: 'explorer' };

export function addOpen(program: Command, { terminal, api }: Context): void {
  program
    .command('open [batch]')
    .description("print the console's address, and open it in a browser where there is a screen")
    .option('--json', 'the address as JSON; opens nothing')
    .action((batch: string | undefined, { json }: { json?: true }) => {
      const url = `${api().url}/${batch === undefined ? '' : `#/batches/${encodeURIComponent(batch)}`}`;
      terminal.out(json ? JSON.stringify({ url }) : url);
      const hasScreen =
        process.platform !== 'linux' || Boolean(process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY']);
      if (json || !terminal.isLive || !hasScreen) return;
      const child = spawn(OPENERS[process.platform] ?? 'xdg-open', [url], { stdio: 'ignore', detached: true });
      // The address stands above: whoever has no such program opens it by hand.
      child.once('error', () => undefined);
      child.unref();
    });
}
