import type { FinishReason, GenerationRequest, PromptReport } from '../engine/generation.ts';
import type { ModelThread } from '../engine/model-thread.ts';
import type { Tokenizer } from '../engine/tokenizer.ts';
import { ProtocolError, unknownModel } from './protocol-error.ts';
import type { Piece } from './text-assembler.ts';
import { TextAssembler } from './text-assembler.ts';

/** A model that is loaded, and the vocabulary of its pair. */
export interface ServedModel {
  readonly thread: ModelThread;
  readonly tokenizer: Tokenizer;
}

/** What the handlers need: the models that are loaded, by the names that clients use. */
export type ServedModels = ReadonlyMap<string, ServedModel>;

/** Beyond this the wait is longer than clients accept, and they should get their 429 at once. */
const MAX_UNFINISHED = 512;

export function chooseModel(models: ServedModels, name: string | undefined): ServedModel {
  const served = models.get(name ?? '');
  if (served === undefined) throw unknownModel(name ?? '');
  if (served.thread.unfinished >= MAX_UNFINISHED) {
    throw new ProtocolError(429, `${MAX_UNFINISHED} requests are already waiting for '${served.thread.name}'`, {
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
      retryAfterSeconds: 1,
    });
  }
  return served;
}

/** A generation as text: what the handlers turn into chunks or gather into one answer. */
export type TextEvent =
  | { readonly kind: 'prompt'; readonly reports: readonly PromptReport[] }
  | { readonly kind: 'piece'; readonly choice: number; readonly piece: Piece }
  | {
      readonly kind: 'finish';
      readonly choice: number;
      readonly reason: FinishReason;
      readonly generatedTokens: number;
    };

export async function* generateText(
  { thread, tokenizer }: ServedModel,
  request: GenerationRequest,
): AsyncGenerator<TextEvent> {
  const assemblers = Array.from({ length: request.choices }, () => new TextAssembler(tokenizer, request.stops));
  for await (const events of thread.generate(request)) {
    for (const event of events) {
      if (event.kind === 'prompt') {
        yield event;
        continue;
      }
      const assembler = assemblers[event.choice];
      if (assembler === undefined) continue;
      const piece = event.kind === 'token' ? assembler.push(event.report) : assembler.finish();
      if (piece.tokens.length > 0) yield { kind: 'piece', choice: event.choice, piece };
      if (event.kind === 'finish') yield event;
    }
  }
}

/** One choice when it is complete. */
export interface GatheredChoice {
  text: string;
  tokens: Piece['tokens'];
  reason: string;
}

export interface Gathered {
  readonly choices: readonly GatheredChoice[];
  readonly promptReports: readonly PromptReport[] | undefined;
  readonly generatedTokens: number;
}

export async function gather(events: AsyncIterable<TextEvent>, choiceCount: number): Promise<Gathered> {
  const choices = Array.from({ length: choiceCount }, (): GatheredChoice => ({ text: '', tokens: [], reason: 'stop' }));
  let promptReports: readonly PromptReport[] | undefined;
  let generatedTokens = 0;
  for await (const event of events) {
    if (event.kind === 'prompt') {
      promptReports = event.reports;
      continue;
    }
    const choice = choices[event.choice];
    if (choice === undefined) continue;
    if (event.kind === 'piece') {
      choice.text += event.piece.text;
      choice.tokens = [...choice.tokens, ...event.piece.tokens];
    } else {
      choice.reason = event.reason;
      generatedTokens += event.generatedTokens;
    }
  }
  return { choices, promptReports, generatedTokens };
}

export function usageOf(promptTokens: number, completionTokens: number): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
