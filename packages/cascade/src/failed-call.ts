import { NO_USAGE, type Answer, type AttemptError, type Fault, type NoAnswer } from '@spillway/core';

/** The answer over HTTP that a failed call has; null: it has none. */
export function answerOf(fault: Fault): Answer | null {
  if (fault.kind !== 'http') return null;
  return { status: fault.status, requestId: fault.requestId, body: fault.body, usage: NO_USAGE };
}

/** A fault in short; what the server said in an answer that is none may be content, so it stays out. */
export function errorOf(fault: Fault): AttemptError {
  if (fault.kind === 'http') return { type: String(fault.status), message: `status ${fault.status}` };
  return { type: fault.kind, message: fault.kind === 'garbled' ? 'an answer that is no completion' : fault.message };
}

/** What a document gets whose last call has no answer over HTTP. */
export function noAnswerOf(fault: Fault): NoAnswer {
  if (fault.kind === 'http') return { code: 'server_error', message: `The model server answered ${fault.status}.` };
  const code = fault.kind === 'timeout' ? 'request_timeout' : 'server_error';
  return { code, message: fault.message };
}
