import { ApiClient } from './client.ts';
import { readAddress, type Env } from './settings.ts';
import { openTerminal, type Terminal } from './terminal.ts';

/** What commands are given: the terminal, the environment, and the API, whose address is read when somebody asks for it. */
export type Context = { readonly env: Env; readonly terminal: Terminal; readonly api: () => ApiClient };

export const openContext = (env: Env): Context => ({
  env,
  terminal: openTerminal(),
  api: () => new ApiClient(readAddress(env)),
});
