import { startModelServer, type ModelRequest, type ModelServer, type Scripted } from './model-server.ts';

export type CrashingServer = { readonly server: ModelServer; readonly crashes: () => number };

/**
 * A model server that a document with the word `poison` ends: the calls that it has break, and for a while there is
 * none. An answer's time goes by its prompt.
 */
export async function startCrashingServer({
  role,
  awayMs,
  latencyMs = () => 0,
}: {
  readonly role: string;
  readonly awayMs: number;
  readonly latencyMs?: (prompt: string) => number;
}): Promise<CrashingServer> {
  let crashes = 0;
  const answer = async ({ body }: ModelRequest): Promise<Scripted> => {
    const prompt = JSON.stringify(body['messages']);
    await elapsed(latencyMs(prompt));
    if (!prompt.includes('poison')) return { kind: 'completion', logprobs: -0.01 };
    crashes += 1;
    await server.stop();
    await elapsed(awayMs);
    await server.restart();
    return { kind: 'completion' };
  };
  const server = await startModelServer({ role, answer });
  return { server, crashes: () => crashes };
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
