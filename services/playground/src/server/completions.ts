import { randomUUID } from 'node:crypto';
import type { DecoderShape } from '../engine/decoder.ts';
import type { GenerationRequest, PromptReport } from '../engine/generation.ts';
import type { Tokenizer } from '../engine/tokenizer.ts';
import { frameChunks } from './event-stream.ts';
import type { Body } from './fields.ts';
import { readBoolean, readInteger, readString } from './fields.ts';
import { ProtocolError, invalidField } from './protocol-error.ts';
import type { StreamFields } from './sampling-fields.ts';
import { MAX_TOP_LOGPROBS, readPromptLogprobs, readSampling, readStreamFields } from './sampling-fields.ts';
import type { Gathered, GatheredChoice, ServedModels, TextEvent } from './served-model.ts';
import { chooseModel, gather, generateText, usageOf } from './served-model.ts';
import type { LegacyEntry } from './shown-logprobs.ts';
import { showLegacyLogprobs, showPromptLogprobs } from './shown-logprobs.ts';
import type { ShownToken } from './text-assembler.ts';

interface CompletionRequest extends StreamFields {
  readonly prompts: readonly CompletionPrompt[];
  readonly logprobs: number | undefined;
  readonly echo: boolean;
  readonly showsPromptLogprobs: boolean;
}

interface CompletionPrompt {
  readonly text: string;
  readonly generation: GenerationRequest;
}

/** What OpenAI writes when nobody says how much. */
const DEFAULT_MAX_TOKENS = 16;
const MAX_PROMPTS = 16;

function isTokenList(value: unknown, vocabulary: number): value is number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((token) => Number.isInteger(token) && token >= 0 && token < vocabulary)
  );
}

/** A prompt is a string, a list of token numbers, or a list of either. */
function readPrompts(body: Body, tokenizer: Tokenizer): number[][] {
  const { prompt } = body;
  const vocabulary = tokenizer.vocabularySize;
  const list = typeof prompt === 'string' || isTokenList(prompt, vocabulary) ? [prompt] : prompt;
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_PROMPTS) {
    throw invalidField('prompt', `a string, a list of token numbers, or a list of up to ${MAX_PROMPTS} of either`);
  }
  return list.map((one: unknown) => {
    const tokens =
      typeof one === 'string' ? tokenizer.encodeMarked(one) : isTokenList(one, vocabulary) ? one : undefined;
    if (tokens === undefined || tokens.length === 0)
      throw invalidField('prompt', 'made of strings or token numbers, none of them empty');
    return tokens;
  });
}

function readCompletionRequest(body: Body, tokenizer: Tokenizer, shape: DecoderShape): CompletionRequest {
  const streaming = readStreamFields(body);
  const logprobs = readInteger(body, 'logprobs', 0, MAX_TOP_LOGPROBS);
  const echo = readBoolean(body, 'echo') ?? false;
  const promptLogprobs = readPromptLogprobs(body, streaming.stream);
  // An echo with log-probs scores the prompt, too.
  const scored = promptLogprobs ?? (echo ? logprobs : undefined);
  const reports = {
    topLogprobs: logprobs ?? 0,
    promptLogprobs: scored,
    defaultMaxTokens: DEFAULT_MAX_TOKENS,
    param: 'prompt',
  };
  const prompts = readPrompts(body, tokenizer).map((tokens) => ({
    text: tokens.map((token) => tokenizer.nameOf(token)).join(''),
    generation: readSampling(body, tokens, shape, reports),
  }));
  if (streaming.stream && prompts.length > 1)
    throw new ProtocolError(400, 'Only one prompt can be streamed', { param: 'prompt' });
  return { ...streaming, prompts, logprobs, echo, showsPromptLogprobs: promptLogprobs !== undefined };
}

function entriesOfPrompt(
  prompt: CompletionPrompt,
  reports: readonly PromptReport[],
  tokenizer: Tokenizer,
): LegacyEntry[] {
  return prompt.generation.prompt.map((token, i) => {
    const report = reports[i - 1];
    return { token: tokenizer.nameOf(token), logprob: report?.logprob ?? null, top: report?.top ?? [] };
  });
}

function entriesOfTokens(tokens: readonly ShownToken[]): LegacyEntry[] {
  return tokens.map(({ report, bytes }) => ({
    token: Buffer.from(bytes).toString('utf8'),
    logprob: report.logprob,
    top: report.top,
  }));
}

/** Answers a plain completion with one object, or with a stream of chunks. */
export function answerCompletion(models: ServedModels, body: Body): Promise<object> | AsyncGenerator<string> {
  const served = chooseModel(models, readString(body, 'model'));
  const { thread, tokenizer } = served;
  const request = readCompletionRequest(body, tokenizer, thread.shape);
  const envelope = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: thread.name,
  };
  const generate = (prompt: CompletionPrompt): AsyncGenerator<TextEvent> => generateText(served, prompt.generation);
  const [only] = request.prompts;
  if (request.stream && only !== undefined)
    return frameChunks(streamCompletion(generate(only), only, request, tokenizer, envelope));
  return complete(generate, request, tokenizer, envelope);
}

function showChoice(
  choice: GatheredChoice,
  prompt: CompletionPrompt,
  gathered: Gathered,
  request: CompletionRequest,
  tokenizer: Tokenizer,
): object {
  const echoed = request.echo ? prompt.text : '';
  const reports = gathered.promptReports ?? [];
  const entries = [
    ...(request.echo ? entriesOfPrompt(prompt, reports, tokenizer) : []),
    ...entriesOfTokens(choice.tokens),
  ];
  return {
    text: echoed + choice.text,
    logprobs:
      request.logprobs === undefined
        ? null
        : showLegacyLogprobs(tokenizer, entries, request.echo ? 0 : prompt.text.length),
    finish_reason: choice.reason,
    ...(request.showsPromptLogprobs ? { prompt_logprobs: showPromptLogprobs(tokenizer, reports) } : {}),
  };
}

async function complete(
  generate: (prompt: CompletionPrompt) => AsyncGenerator<TextEvent>,
  request: CompletionRequest,
  tokenizer: Tokenizer,
  envelope: object,
): Promise<object> {
  const answers = await Promise.all(
    request.prompts.map(async (prompt) => ({
      prompt,
      gathered: await gather(generate(prompt), prompt.generation.choices),
    })),
  );
  const choices = answers.flatMap(({ prompt, gathered }) =>
    gathered.choices.map((choice) => showChoice(choice, prompt, gathered, request, tokenizer)),
  );
  const promptTokens = request.prompts.reduce((sum, prompt) => sum + prompt.generation.prompt.length, 0);
  const generatedTokens = answers.reduce((sum, { gathered }) => sum + gathered.generatedTokens, 0);
  return {
    ...envelope,
    choices: choices.map((choice, index) => ({ index, ...choice })),
    usage: usageOf(promptTokens, generatedTokens),
  };
}

async function* streamCompletion(
  events: AsyncGenerator<TextEvent>,
  prompt: CompletionPrompt,
  request: CompletionRequest,
  tokenizer: Tokenizer,
  envelope: object,
): AsyncGenerator<object> {
  const offsets = Array.from({ length: prompt.generation.choices }, () => prompt.text.length);
  const chunk = (index: number, text: string, logprobs: object | null, reason: string | null): object => ({
    ...envelope,
    choices: [{ index, text, logprobs, finish_reason: reason }],
  });
  if (request.echo) for (let index = 0; index < offsets.length; index++) yield chunk(index, prompt.text, null, null);
  let generatedTokens = 0;
  for await (const event of events) {
    if (event.kind === 'piece') {
      const offset = offsets[event.choice] ?? 0;
      const entries = entriesOfTokens(event.piece.tokens);
      offsets[event.choice] = offset + event.piece.text.length;
      yield chunk(
        event.choice,
        event.piece.text,
        request.logprobs === undefined ? null : showLegacyLogprobs(tokenizer, entries, offset),
        null,
      );
    } else if (event.kind === 'finish') {
      generatedTokens += event.generatedTokens;
      yield chunk(event.choice, '', null, event.reason);
    }
  }
  if (request.includeUsage)
    yield { ...envelope, choices: [], usage: usageOf(prompt.generation.prompt.length, generatedTokens) };
}
