import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createOpenAI } from '@ai-sdk/openai';
import type { UsageMetadata } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText, type FinishReason, type LanguageModelUsage } from 'ai';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { System } from '../support/system.ts';

/** Clients beside OpenAI's SDK, as their users write them, asking for direct answers whole and as a stream. */

const run = promisify(execFile);

/** What a client hands to its user; a whole answer is one piece. */
type Answer = { readonly pieces: readonly string[]; readonly finish: unknown; readonly usage: readonly unknown[] };

const APIS = ['chat', 'responses'] as const;
type Api = (typeof APIS)[number];

/** How a client is asked. */
type Way = { readonly api: Api; readonly streams: boolean };
const WAYS: readonly Way[] = APIS.flatMap((api) => [false, true].map((streams) => ({ api, streams })));

/** The draft is accepted; it is not, and the expert answers; the expert's answer is cut off at its limit. */
const DOCUMENTS = ['easy', 'hard', 'hard and long'] as const;
type Document = (typeof DOCUMENTS)[number];

const DRAFTER_USAGE = { prompt_tokens: 11, completion_tokens: 3, total_tokens: 14 };
const EXPERT_USAGE = { prompt_tokens: 22, completion_tokens: 4, total_tokens: 26 };

const has = ({ body }: ModelRequest, word: string): boolean => JSON.stringify(body).includes(word);

const draft = (request: ModelRequest): Scripted => ({
  kind: 'completion',
  text: 'From the drafter.',
  logprobs: has(request, 'hard') ? -2 : -0.01,
  usage: DRAFTER_USAGE,
});

const expertise = (request: ModelRequest): Scripted => ({
  kind: 'completion',
  text: 'From the expert.',
  finishReason: has(request, 'long') ? 'length' : 'stop',
  usage: EXPERT_USAGE,
});

/** Why an answer ended, as each API says it. */
const FINISH: Readonly<Record<Api, { readonly whole: string; readonly cut: string }>> = {
  chat: { whole: 'stop', cut: 'length' },
  responses: { whole: 'completed', cut: 'incomplete' },
};

/** What a client is to hand over. An accepted draft streams in one piece, an expert's answer as it is written. */
function expected(document: Document, { api, streams }: Way): Answer {
  const finish = FINISH[api][document === 'hard and long' ? 'cut' : 'whole'];
  if (document === 'easy') return { pieces: ['From the drafter.'], finish, usage: [11, 3, 14] };
  return { pieces: streams ? ['From', ' the', ' expert.'] : ['From the expert.'], finish, usage: [22, 4, 26] };
}

let system: System;
let directory = '';

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-clients-'));
  system = await System.create({ drafter: { answer: draft }, expert: { answer: expertise } });
  await system.run('api');
});

after(async () => {
  await system[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** How the models were asked from a request on: a client that is told to stream may not, or may use another API. */
const waysAsked = (requests: readonly ModelRequest[], from: number): Way[] =>
  requests
    .slice(from)
    .map(({ body }) => ({ api: 'input' in body ? 'responses' : 'chat', streams: body['stream'] === true }));

/** Asks every document in one way, and looks at what came and at what the models were asked. */
async function check(way: Way, ask: (document: Document) => Promise<Answer>, wanted = expected): Promise<void> {
  for (const document of DOCUMENTS) {
    const { drafterModel, expertModel } = system;
    const [drafts, answers] = [drafterModel.received, expertModel.received];
    assert.deepEqual(await ask(document), wanted(document, way), document);
    assert.deepEqual(waysAsked(drafterModel.requests, drafts), [{ ...way, streams: false }]);
    assert.deepEqual(waysAsked(expertModel.requests, answers), document === 'easy' ? [] : [way]);
  }
}

const nameOf = ({ api, streams }: Way): string =>
  `${api === 'chat' ? 'chat completions' : 'Responses'}, ${streams ? 'as a stream' : 'whole'}`;

/** The AI SDK has words of its own for why an answer ended, the same for both APIs. */
const expectedOfAi = (document: Document, way: Way): Answer => ({
  ...expected(document, way),
  finish: expected(document, { ...way, api: 'chat' }).finish,
});

const answerOfAi = (pieces: string[], finish: FinishReason, usage: LanguageModelUsage): Answer => ({
  pieces,
  finish,
  usage: [usage.inputTokens, usage.outputTokens, usage.totalTokens],
});

for (const way of WAYS) {
  test(`the AI SDK: ${nameOf(way)}`, async () => {
    const model = createOpenAI({ baseURL: system.client.baseURL, apiKey: 'none' })[way.api]('test');
    const ask = async (prompt: Document): Promise<Answer> => {
      if (way.streams) {
        const { textStream, finishReason, usage } = streamText({ model, prompt, maxRetries: 0 });
        return answerOfAi(await Array.fromAsync(textStream), await finishReason, await usage);
      }
      const { text, finishReason, usage } = await generateText({ model, prompt, maxRetries: 0 });
      return answerOfAi([text], finishReason, usage);
    };
    await check(way, ask, expectedOfAi);
  });

  test(`LangChain: ${nameOf(way)}`, async () => {
    const model = new ChatOpenAI({
      model: 'test',
      apiKey: 'none',
      maxRetries: 0,
      configuration: { baseURL: system.client.baseURL },
      useResponsesApi: way.api === 'responses',
    });
    const ask = async (prompt: Document): Promise<Answer> => {
      const messages = way.streams ? await Array.fromAsync(await model.stream(prompt)) : [await model.invoke(prompt)];
      // By LangChain's types, TypeScript takes `usage_metadata` for undefined at all times.
      const used = messages.flatMap((one) => (one.usage_metadata as UsageMetadata | undefined) ?? []);
      const ends = messages.map((one) => one.response_metadata[way.api === 'chat' ? 'finish_reason' : 'status']);
      return {
        pieces: messages.map(({ text }) => text).filter(Boolean),
        finish: ends.findLast((end) => end !== undefined),
        usage: used.flatMap((one) => [one.input_tokens, one.output_tokens, one.total_tokens]),
      };
    };
    await check(way, ask);
  });
}

/** What both Python clients do around their own `ask`: a line of JSON for each way of each prompt. */
const PYTHON_LOOP = `
for api in ["chat", "responses"]:
    for streams in [False, True]:
        for prompt in ["easy", "hard"]:
            pieces, finish, usage = ask(api, streams, prompt)
            answer = {"pieces": pieces, "finish": finish, "usage": usage}
            print(json.dumps({"api": api, "streams": streams, "document": prompt, "answer": answer}))
`;

/** Without the registration litellm takes the model for one that cannot stream responses, and asks for whole ones. */
const LITELLM = `
import json, os, litellm

litellm.register_model({"openai/test": {"litellm_provider": "openai", "mode": "chat", "supports_native_streaming": True}})
asked = {"model": "openai/test", "api_base": os.environ["SPILLWAY_URL"], "api_key": "none", "num_retries": 0}

def chat(streams, prompt):
    messages = [{"role": "user", "content": prompt}]
    if not streams:
        answer = litellm.completion(messages=messages, **asked)
        return [answer.choices[0].message.content], answer.choices[0].finish_reason, answer.usage
    options = {"include_usage": True}
    chunks = list(litellm.completion(messages=messages, stream=True, stream_options=options, **asked))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    usage = next(chunk.usage for chunk in chunks if getattr(chunk, "usage", None))
    return [c.delta.content for c in choices if c.delta.content], choices[-1].finish_reason, usage

def responses(streams, prompt):
    if not streams:
        answer = litellm.responses(input=prompt, **asked)
        return [answer.output_text], answer.status, answer.usage
    events = list(litellm.responses(input=prompt, stream=True, **asked))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    return deltas, events[-1].response.status, events[-1].response.usage

def ask(api, streams, prompt):
    pieces, finish, usage = (chat if api == "chat" else responses)(streams, prompt)
    names = ["prompt_tokens", "completion_tokens"] if api == "chat" else ["input_tokens", "output_tokens"]
    return pieces, finish, [getattr(usage, name) for name in [*names, "total_tokens"]]
${PYTHON_LOOP}`;

/** Its models are in extra-openai-models.yaml. It does not count the total. */
const LLM = `
import json, llm

def ask(api, streams, prompt):
    answer = llm.get_model("test-" + api).prompt(prompt, stream=streams)
    pieces, usage, body = list(answer), answer.usage(), answer.response_json
    finish = body["status"] if api == "responses" else (body if streams else body["choices"][0])["finish_reason"]
    return pieces, finish, [usage.input, usage.output, usage.input + usage.output]
${PYTHON_LOOP}`;

/** Python's packages are not this project's to install: where one is not there, its test is skipped. */
async function checkPython(t: TestContext, name: string, code: string): Promise<void> {
  const env = {
    ...process.env,
    SPILLWAY_URL: system.client.baseURL,
    // Otherwise litellm fetches a list of models when it is imported.
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
    LLM_USER_PATH: directory,
    LLM_LOAD_PLUGINS: '',
  };
  const python = (script: string) => run('python3', ['-c', script], { cwd: directory, env });
  const isThere = await python(`import ${name}`).then(
    () => true,
    () => false,
  );
  if (!isThere) return t.skip(`there is no python3 with the package ${name}`);
  const { drafterModel, expertModel } = system;
  const [drafts, answers] = [drafterModel.received, expertModel.received];
  const { stdout } = await python(code);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Way & { readonly document: Document; readonly answer: Answer });
  const wanted = WAYS.flatMap((way) =>
    (['easy', 'hard'] as const).map((document) => ({ ...way, document, answer: expected(document, way) })),
  );
  assert.deepEqual(lines, wanted);
  const wayOfDraft = ({ api }: Way): Way => ({ api, streams: false });
  assert.deepEqual(waysAsked(drafterModel.requests, drafts), wanted.map(wayOfDraft));
  assert.deepEqual(waysAsked(expertModel.requests, answers), WAYS);
}

test('litellm: chat completions and Responses, whole and as a stream', (t) => checkPython(t, 'litellm', LITELLM));

test('llm: chat completions and Responses, whole and as a stream', async (t) => {
  const models = APIS.map((api) => ({
    model_id: `test-${api}`,
    model_name: 'test',
    api_base: system.client.baseURL,
    responses: api === 'responses',
  }));
  await writeFile(join(directory, 'extra-openai-models.yaml'), JSON.stringify(models));
  await checkPython(t, 'llm', LLM);
});
