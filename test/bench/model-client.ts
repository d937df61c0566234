/**
 * CPU per call of the model client, in one run against one server process, beside what others take for the same call:
 * the `openai` SDK as it comes, the SDK on undici's `fetch`, the SDK on the leanest `fetch` that it can be given (the
 * floor of whoever uses it), and undici without the SDK.
 * `node test/bench/model-client.ts [calls of a round] [rounds]` prints one JSON line. Rounds are short and interleaved,
 * so that a busy machine hits all alike; what counts are the ratios, of medians and of each round.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { openModel } from '@spillway/models';
import { OpenAI } from 'openai';
import { Agent, fetch as undiciFetch, Pool, type Dispatcher } from 'undici';

const CONCURRENCY = 16;
const TIMEOUT_MS = 10_000;

type Ask = () => Promise<void>;
type Arms = Readonly<Record<string, Ask>>;

async function startServer() {
  const child = spawn(process.execPath, [new URL('../support/model-server.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { baseURL } = JSON.parse(line) as { baseURL: string };
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  return { baseURL, [Symbol.asyncDispose]: stop };
}

/** CPU microseconds a call. */
async function measure(ask: Ask, calls: number): Promise<number> {
  const cpu = process.cpuUsage();
  let left = calls;
  const lane = async () => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  const used = process.cpuUsage(cpu);
  return (used.user + used.system) / calls;
}

/** One POST with nothing about it: no limits, no codings, no deadline. */
function post(pool: Pool, path: string, body: string): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const pieces: Buffer[] = [];
  let status = 0;
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => {},
    onResponseStart: (_, code) => {
      status = code;
    },
    onResponseData: (_, piece) => void pieces.push(piece),
    onResponseEnd: () => resolve({ status, text: Buffer.concat(pieces).toString('utf8') }),
    onResponseError: (_, error) => reject(error),
  };
  const headers = { authorization: 'Bearer k', 'content-type': 'application/json' };
  pool.dispatch({ path, method: 'POST', headers, body }, handler);
  return promise;
}

/** A `fetch` that is no more than `post`, and a `Response` that is no more than the SDK looks at. */
function leanFetch(pool: Pool) {
  const headers = new Headers({ 'content-type': 'application/json' });
  return async (url: unknown, init?: RequestInit): Promise<Response> => {
    const { status, text } = await post(pool, new URL(String(url)).pathname, init?.body as string);
    return { status, ok: status === 200, headers, url: '', body: null, text: () => Promise.resolve(text) } as Response;
  };
}

function armsOf(baseURL: string, pool: Pool, agent: Agent, client: ReturnType<typeof openModel>): Arms {
  const content = 'a document of some length '.repeat(40);
  const body = { model: 'cascade', messages: [{ role: 'user' as const, content }] };
  const asked = { ...body, logprobs: true, top_logprobs: 1 };
  const { signal } = new AbortController();
  const call = { endpoint: '/v1/chat/completions', body, logprobs: true, timeoutMs: TIMEOUT_MS, signal } as const;
  const options = { baseURL, apiKey: 'k', maxRetries: 0 };
  const sdkOn = (more: Partial<ConstructorParameters<typeof OpenAI>[0]>): Ask => {
    const sdk = new OpenAI({ ...options, ...more });
    return async () => void (await sdk.chat.completions.create(asked));
  };
  const ours = (more: object): Ask => {
    return async () => {
      const attempt = await client.complete({ ...call, ...more });
      if (attempt.kind !== 'completed') throw new Error(`the bench's server failed: ${attempt.kind}`);
    };
  };
  const stock = new OpenAI(options);
  const undici = (url: unknown, init?: RequestInit) =>
    undiciFetch(String(url), { ...init, dispatcher: agent } as Parameters<typeof undiciFetch>[1]);
  return {
    stock: sdkOn({}),
    'stock on undici': sdkOn({ fetch: undici as unknown as typeof fetch }),
    floor: sdkOn({ fetch: leanFetch(pool) }),
    bare: async () => void JSON.parse((await post(pool, '/v1/chat/completions', JSON.stringify(asked))).text),
    ours: ours({}),
    'ours, streamed': ours({ onEvent: () => undefined }),
    'stock, streamed': async () => {
      for await (const _ of await stock.chat.completions.create({ ...asked, stream: true }));
    },
  };
}

const sorted = (values: readonly number[]): number[] => values.toSorted((left, right) => left - right);
const at = (values: readonly number[], share: number): number =>
  sorted(values)[Math.round((values.length - 1) * share)] ?? Number.NaN;

/** The median, and between what half of the rounds lie. */
const summaryOf = (values: readonly number[], digits: number) => ({
  median: Number(at(values, 0.5).toFixed(digits)),
  quartiles: [0.25, 0.75].map((share) => Number(at(values, share).toFixed(digits))),
});

async function main(): Promise<void> {
  const calls = Number(process.argv[2] ?? 400);
  const rounds = Number(process.argv[3] ?? 9);
  const only = process.argv[4]?.split('+');
  await using server = await startServer();
  const { baseURL } = server;
  const pool = new Pool(new URL(baseURL).origin, { connections: CONCURRENCY });
  const agent = new Agent({ connections: CONCURRENCY });
  const limits = { timeoutMs: TIMEOUT_MS, connections: CONCURRENCY };
  await using client = openModel({ baseURL, model: 'any', apiKey: 'k', ...limits });
  const arms = Object.entries(armsOf(baseURL, pool, agent, client)).filter(([name]) => only?.includes(name) ?? true);
  const spent = new Map<string, number[]>(arms.map(([name]) => [name, []]));
  // The first rounds, before everything is compiled, do not count.
  for (let round = -3; round < rounds; round += 1) {
    for (const [name, ask] of round % 2 === 0 ? arms : arms.toReversed()) {
      const cpuUs = await measure(ask, calls);
      if (round >= 0) spent.get(name)?.push(cpuUs);
    }
  }
  const floor = spent.get('floor') ?? [];
  const result = Object.fromEntries(
    [...spent].map(([name, values]) => {
      const ofFloor = values.map((value, round) => value / (floor[round] ?? Number.NaN));
      return [name, { cpuUs: summaryOf(values, 0), ofFloor: summaryOf(ofFloor, 2) }];
    }),
  );
  process.stdout.write(`${JSON.stringify({ calls, rounds, ...result })}\n`);
  await Promise.all([pool.destroy(), agent.destroy()]);
}

await main();
