import { readTokens, type TokenLogprob } from '../endpoints/completion-tokens.ts';
import { messagesOf } from '../endpoints/endpoint.ts';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { runAtOnce } from '../text/slices.ts';
import { isAbsent, isModelUnknown, problemOf, wordsOf, type Refused } from './check-problem.ts';
import type { Fault } from './failure/fault.ts';
import { NOTHING_FOUND, type ModelFindings } from './model-findings.ts';
import { serverWords } from './server-words.ts';
import { promptIdsOf, readIdScores } from './verify/prompt-ids.ts';

/** What a check asks a model server. */
export type CheckQuestion =
  /** Which models it has. */
  | { readonly kind: 'models' }
  | {
      readonly kind: 'call';
      readonly endpoint: EndpointUrl;
      readonly body: JsonObject;
      /** Fields that the check sets for its own purpose: a model's settings rename them and override them not. */
      readonly own: readonly string[];
    };

/** What a server answered a question; a stream is put together. */
export type CheckAnswer =
  | { readonly kind: 'answered'; readonly body: JsonObject; readonly streamed: boolean; readonly ms: number }
  | { readonly kind: 'failed'; readonly fault: Fault };

/** A part of a check: asks one question after the other, each with the answers before it in mind. */
export type CheckSteps<Result> = Generator<CheckQuestion, Result, CheckAnswer>;

/** How the calls of a check are made, as far as the server was found to want it otherwise than others. */
type Manner = {
  readonly endpoint: EndpointUrl;
  readonly logprobs: boolean;
  readonly alternatives: boolean;
  readonly limit: 'max_tokens' | 'max_completion_tokens';
};

/** What the beginning of a check found. */
export type BegunCheck =
  /** Nobody answers, or nobody is ready to: it is asked again later. */
  | { readonly kind: 'absent'; readonly found: ModelFindings }
  /** The server is there, and somebody must mend something before the model can be asked. */
  | { readonly kind: 'wrong'; readonly found: ModelFindings }
  | { readonly kind: 'answered'; readonly found: ModelFindings; readonly manner: Manner };

/** The model that is checked. */
export type CheckedModel = { readonly name: string; readonly model: string; readonly baseURL: string };

const PLAIN: Manner = { endpoint: '/v1/chat/completions', logprobs: true, alternatives: true, limit: 'max_tokens' };

const FEW_TOKENS = 4;

/** A model that may choose says hello in words; in JSON mode it must begin otherwise. */
const PLAIN_WORDS = 'Say hello in plain words, not in JSON.';
const MIN_JSON_TOKENS = 12;

/** The beginning of an answer that nobody would begin by himself, cut in a word whose rest is known. */
const GIVEN = 'Zebra says hel';
const REST = /^lo\b/i;

/** A text of several tokens, whatever the tokeniser. */
const ECHOED = 'The sky is blue, the grass is green, and the snow is';

/**
 * Asks whether the server is there, knows the model, and answers a small call, with log-probs where it gives them. Which
 * models it has is asked only where it refuses: whoever answers knows the model, whatever names stand in a list.
 */
export function* beginCheck(checked: CheckedModel): CheckSteps<BegunCheck> {
  let manner = PLAIN;
  let said: string | null = null;
  // Each further manner gives something up, so there are few.
  for (;;) {
    const answer = yield call(manner, { ...saying('Say hello.', manner), ...limitOf(manner), ...logprobsOf(manner) });
    const isAnswered = answer.kind === 'answered' && isCompletion(answer.body, manner);
    if (isAnswered) return { kind: 'answered', manner, found: foundIn(answer, manner, said) };
    const fault = answer.kind === 'failed' ? answer.fault : NO_COMPLETION;
    if (isAbsent(fault)) return { kind: 'absent', found: { ...NOTHING_FOUND, problem: problemOf(fault, null) } };
    let next = otherManner(manner, fault);
    if (next !== null && next.limit === manner.limit) said = fault.kind === 'http' ? serverWords(fault.body) : null;
    if (next === null) {
      const list = yield { kind: 'models' };
      const listed = list.kind === 'answered' ? idsOf(list.body) : null;
      next = withoutChat(manner, fault, listed);
      const refused = { ...checked, listed, path: ENDPOINTS[manner.endpoint].path };
      if (next === null) return { kind: 'wrong', found: wrong(fault, refused) };
    }
    manner = next;
  }
}

/** Asks for the rest, one thing after the other; a server that goes away in between is not asked on. */
export function* completeCheck(begun: Extract<BegunCheck, { kind: 'answered' }>): CheckSteps<ModelFindings> {
  const { manner } = begun;
  let { found } = begun;
  if (found.log_probs === true) {
    const { stream } = ENDPOINTS[manner.endpoint];
    const body = { ...saying('Say hello.', manner), ...limitOf(manner), ...logprobsOf(manner), ...stream.fields };
    const answer = yield call(manner, body);
    if (isGone(answer)) return found;
    found = { ...found, streamed_log_probs: isStreamed(answer) };
  }
  if (manner.endpoint === '/v1/chat/completions') {
    const format = { response_format: { type: 'json_object' } };
    const json = { ...saying(PLAIN_WORDS, manner), ...format, ...limitOf(manner, MIN_JSON_TOKENS) };
    const answer = yield call(manner, json);
    if (isGone(answer)) return found;
    found = { ...found, json_mode: isJsonMode(answer) };
    found = { ...found, ...(yield* checkContinuation(manner)) };
  }
  if (found.scoring === 'prompt_logprobs') return found;
  found = { ...found, scoring: yield* checkEcho(manner) };
  const goesOn = found.continuation === 'new_text' || found.continuation === 'whole_text';
  return found.scoring === 'echo' && goesOn && (yield* checkIds(manner)) ? { ...found, prompt_ids: true } : found;
}

/** Both flags and the scores of the given part in one call; in two where the server refuses those scores. */
function* checkContinuation(manner: Manner): CheckSteps<Pick<ModelFindings, 'scoring' | 'continuation'>> {
  const messages = [...messagesOf('Say hello.'), { role: 'assistant', content: GIVEN }];
  const flags = { add_generation_prompt: false, continue_final_message: true };
  const body = { messages, ...flags, ...limitOf(manner) };
  const scored = yield call(manner, { ...body, prompt_logprobs: 0 });
  const isScoreRefused =
    scored.kind === 'failed' &&
    /prompt_log_?prob/i.test(wordsOf(scored.fault)) &&
    !/add_generation_prompt|continue_final_message/.test(wordsOf(scored.fault));
  const answer = isScoreRefused ? yield call(manner, body) : scored;
  if (isGone(answer)) return { scoring: null, continuation: null };
  if (answer.kind === 'failed') return { scoring: null, continuation: 'no' };
  const hasScores = countScores(answer.body['prompt_logprobs']) > 1;
  return { scoring: hasScores ? 'prompt_logprobs' : null, continuation: continuationOf(answer.body, hasScores) };
}

/** An echo with log-probs scores its prompt. Servers differ in what a limit of 0 means there, so one token is written. */
function* checkEcho(manner: Manner): CheckSteps<ModelFindings['scoring']> {
  const body = { prompt: ECHOED, echo: true, logprobs: 1, ...limitOf(manner, 1) };
  const answer = yield call({ ...manner, endpoint: '/v1/completions' }, body);
  if (isGone(answer)) return null;
  return answer.kind === 'answered' && isEchoScored(answer.body) ? 'echo' : 'no';
}

/** Whether the server says which tokens it makes of a chat that has begun its answer, and scores an echo of those. */
function* checkIds(manner: Manner): CheckSteps<boolean> {
  const messages = [...messagesOf('Say hello.'), { role: 'assistant', content: GIVEN }];
  const flags = { add_generation_prompt: false, continue_final_message: true, return_prompt_token_ids: true };
  const told = yield call(manner, { messages, ...flags, ...limitOf(manner, 1) });
  const ids = told.kind === 'answered' ? promptIdsOf(told.body) : null;
  if (ids === null) return false;
  const body = { prompt: [...ids], echo: true, logprobs: 1, ...limitOf(manner, 1) };
  const answer = yield call({ ...manner, endpoint: '/v1/completions' }, body);
  return answer.kind === 'answered' && runAtOnce(readIdScores(answer.body, ids.length, GIVEN)).kind === 'scored';
}

function call({ endpoint }: Manner, body: JsonObject): CheckQuestion {
  return { kind: 'call', endpoint, body, own: ['max_tokens', 'max_completion_tokens'] };
}

const saying = (words: string, { endpoint }: Manner): JsonObject => ENDPOINTS[endpoint].saying(words);

const limitOf = ({ limit }: Manner, tokens = FEW_TOKENS): JsonObject => ({ [limit]: tokens });

function logprobsOf({ endpoint, logprobs, alternatives }: Manner): JsonObject {
  if (!logprobs) return {};
  if (endpoint === '/v1/completions') return { logprobs: 1 };
  return { logprobs: true, ...(alternatives ? { top_logprobs: 1 } : {}) };
}

const NO_COMPLETION: Fault = { kind: 'garbled', status: 200, message: 'an answer that is no completion' };

const isCompletion = (body: JsonObject, { endpoint }: Manner): boolean => ENDPOINTS[endpoint].facts(body, {}) !== null;

/** How to ask again after a refusal that names what it is about; null: there is no other way. */
function otherManner(manner: Manner, fault: Fault): Manner | null {
  if (fault.kind !== 'http' || ![400, 403, 422].includes(fault.status)) return null;
  const said = wordsOf(fault);
  if (manner.limit === 'max_tokens' && said.includes('max_completion_tokens')) {
    return { ...manner, limit: 'max_completion_tokens' };
  }
  if (!manner.logprobs || !/log_?prob/i.test(said)) return null;
  // A refusal of log-probs may mean the alternatives only, whatever it calls them.
  return manner.alternatives ? { ...manner, alternatives: false } : { ...manner, logprobs: false };
}

/** A model that was not trained to chat is asked by completions. */
function withoutChat(manner: Manner, fault: Fault, listed: readonly string[] | null): Manner | null {
  if (fault.kind !== 'http' || manner.endpoint !== '/v1/chat/completions') return null;
  const said = wordsOf(fault);
  const hasNoChat = fault.status === 404 ? listed !== null && !/model/i.test(said) : /chat[ _]template/i.test(said);
  return hasNoChat ? { ...manner, endpoint: '/v1/completions' } : null;
}

function wrong(fault: Fault, refused: Refused): ModelFindings {
  const known = isModelUnknown(fault, refused) ? false : null;
  return { ...NOTHING_FOUND, reachable: true, known, problem: problemOf(fault, refused) };
}

/** What an answer shows; `said` came with the last refusal of what log-probs are asked for with. */
function foundIn(
  { body, ms }: Extract<CheckAnswer, { kind: 'answered' }>,
  manner: Manner,
  said: string | null,
): ModelFindings {
  const refused = [
    ...(manner.limit === 'max_tokens' ? [] : ['max_tokens']),
    ...(manner.logprobs ? [] : ['logprobs']),
    ...(manner.alternatives ? [] : ['top_logprobs']),
  ];
  const tokens = manner.logprobs ? tokensOf(choiceOf(body)) : null;
  const hasText = textOf(body) !== '';
  const given = (has: boolean): boolean | null => (has ? true : manner.logprobs && !hasText ? null : false);
  const hasTop = tokens?.some(({ top }) => top.length > 0) === true;
  return {
    ...NOTHING_FOUND,
    reachable: true,
    known: true,
    ms: Math.round(ms),
    log_probs: given(tokens !== null),
    alternatives: given(hasTop),
    refused,
    ...(said === null ? {} : { said }),
    ...(beginsWithThought(body) ? { reasons: true } : {}),
  };
}

/** Whether an answer begins with a thought, in a field of its own or in its text. */
function beginsWithThought(body: JsonObject): boolean {
  const message = choiceOf(body)?.['message'];
  const thoughts = isJsonObject(message) ? [message['reasoning_content'], message['reasoning']] : [];
  return (
    thoughts.some((one) => typeof one === 'string' && one !== '') || textOf(body).trimStart().startsWith('<think>')
  );
}

/**
 * Whether the server went away in mid-check, or takes no more: what it would have said is not known. By a 500 it says
 * that this one call is beyond it, as it has just answered another.
 */
function isGone(answer: CheckAnswer): boolean {
  if (answer.kind === 'answered') return false;
  const { fault } = answer;
  return isAbsent(fault) && !(fault.kind === 'http' && fault.status === 500);
}

const isStreamed = (answer: CheckAnswer): boolean =>
  answer.kind === 'answered' && answer.streamed && tokensOf(choiceOf(answer.body)) !== null;

/** Null: an answer of blanks, or of nothing, says nothing yet. */
function isJsonMode(answer: CheckAnswer): boolean | null {
  if (answer.kind === 'failed') return false;
  const text = textOf(answer.body).trim();
  return text === '' ? null : text.startsWith('{');
}

/**
 * A server that ignores the flags answers anew, so it must be seen that it went on: by the given part before its text,
 * by the rest of the word that was cut, or by the scores of the given part, which only come with the flags.
 */
function continuationOf(body: JsonObject, hasScores: boolean): ModelFindings['continuation'] {
  const text = textOf(body);
  if (text.trimStart().startsWith(GIVEN)) return 'whole_text';
  return hasScores || REST.test(text) ? 'new_text' : 'no';
}

/** Servers that do not know a field leave it out with a 200, so its entries are counted. */
const countScores = (scores: Json | undefined): number =>
  Array.isArray(scores) ? scores.filter(isJsonObject).length : 0;

function isEchoScored(body: JsonObject): boolean {
  const choice = choiceOf(body);
  const isEchoed = typeof choice?.['text'] === 'string' && choice['text'].trimStart().startsWith(ECHOED.slice(0, 10));
  return isEchoed && (tokensOf(choice)?.length ?? 0) > 2;
}

/** The tokens of a choice, of which a check asks for a handful. */
function tokensOf(choice: JsonObject | null): readonly TokenLogprob[] | null {
  const listed = runAtOnce(readTokens(choice?.['logprobs']));
  return listed.kind === 'listed' ? listed.tokens : null;
}

function choiceOf(body: JsonObject): JsonObject | null {
  const choices = body['choices'];
  const first: Json | undefined = Array.isArray(choices) ? choices[0] : undefined;
  return isJsonObject(first) ? first : null;
}

function textOf(body: JsonObject): string {
  const choice = choiceOf(body);
  const message = choice?.['message'];
  const text = isJsonObject(message) ? message['content'] : choice?.['text'];
  return typeof text === 'string' ? text : '';
}

/** The names of a server's models; null: it does not tell. */
function idsOf(body: JsonObject): readonly string[] | null {
  const { data } = body;
  if (!Array.isArray(data)) return null;
  return data.flatMap((one: Json) => (isJsonObject(one) && typeof one['id'] === 'string' ? [one['id']] : []));
}
