import {
  firstWords,
  NO_USAGE,
  serverWords,
  type Answer,
  type AttemptError,
  type Fault,
  type NoAnswer,
} from '@spillway/core';
import type { Attempt } from '@spillway/models';

/** The answer over HTTP that a failed call has; null: it has none. */
export function answerOf(fault: Fault): Answer | null {
  if (fault.kind !== 'http') return null;
  return { status: fault.status, requestId: fault.requestId, body: fault.body, usage: NO_USAGE };
}

/** A fault in short; what the server said may be content, so it stands beside and not in the message. */
export function errorOf(fault: Fault): AttemptError {
  const said = saidBy(fault);
  return { ...shortOf(fault), ...(said === null ? {} : { said }) };
}

function shortOf(fault: Fault): AttemptError {
  if (fault.kind === 'http') return { type: String(fault.status), message: `status ${fault.status}` };
  return { type: fault.kind, message: fault.kind === 'garbled' ? 'an answer that is no completion' : fault.message };
}

/** What a server said in a call that failed; null: nothing that could be read. */
function saidBy(fault: Fault): string | null {
  if (fault.kind === 'http') return serverWords(fault.body);
  return fault.kind === 'garbled' ? firstWords(fault.message) : null;
}

/** What a document gets whose last call has no answer over HTTP. */
export function noAnswerOf(fault: Fault): NoAnswer {
  if (fault.kind === 'http') return { code: 'server_error', message: `The model server answered ${fault.status}.` };
  const code = fault.kind === 'timeout' ? 'request_timeout' : 'server_error';
  return { code, message: fault.message };
}

/** A thought that never ends is no answer: a draft is judged so, and where nobody judges it the attempt has failed. */
export function withoutUnclosed(attempt: Attempt): Attempt {
  if (attempt.kind !== 'completed' || attempt.completion.thought !== 'unclosed') return attempt;
  const { startedAtMs, endedAtMs, status } = attempt;
  const message = `${status} with a thought that never ends, and no answer`;
  return { kind: 'failed', fault: { kind: 'garbled', status, message }, startedAtMs, endedAtMs };
}
