import { startModelServer, type ModelRequest, type ModelServer, type Scripted } from './model-server.ts';

export type CrashingServer = {
  readonly server: ModelServer;
  readonly crashes: () => number;
  /** Those of a server that had answered somebody since it was there. */
  readonly crashesAtWork: () => number;
};

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
  let [crashes, crashesAtWork] = [0, 0];
  let hasAnswered = true;
  const answer = async ({ body }: ModelRequest): Promise<Scripted> => {
    const prompt = JSON.stringify(body['messages']);
    const begun = crashes;
    await elapsed(latencyMs(prompt));
    // Its call broke with another one's: it ended nothing, and nobody hears what it says.
    if (begun !== crashes) return { kind: 'completion' };
    if (!prompt.includes('poison')) {
      hasAnswered = true;
      return { kind: 'completion', logprobs: -0.01 };
    }
    crashes += 1;
    if (hasAnswered) crashesAtWork += 1;
    hasAnswered = false;
    await server.stop();
    await elapsed(awayMs);
    await server.restart();
    return { kind: 'completion' };
  };
  const server = await startModelServer({ role, answer });
  return { server, crashes: () => crashes, crashesAtWork: () => crashesAtWork };
}

const elapsed = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
