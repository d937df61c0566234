/** A refusal in the envelope of the OpenAI protocol. */
export class ProtocolError extends Error {
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    message: string,
    details: {
      readonly type?: string;
      readonly code?: string;
      readonly param?: string;
      readonly retryAfterSeconds?: number;
    } = {},
  ) {
    super(message);
    this.status = status;
    this.type = details.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.code = details.code ?? null;
    this.param = details.param ?? null;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  toEnvelope(): object {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

export function invalidField(param: string, expected: string): ProtocolError {
  return new ProtocolError(400, `'${param}' must be ${expected}`, { code: 'invalid_value', param });
}

export function unknownModel(name: string): ProtocolError {
  return new ProtocolError(404, `The model '${name}' does not exist`, { code: 'model_not_found', param: 'model' });
}

export function tooLong(contextTokens: number, promptTokens: number, param: string): ProtocolError {
  const length = `This model's maximum context length is ${contextTokens} tokens`;
  return new ProtocolError(400, `${length}, and ${promptTokens} in the prompt leave none for an answer.`, {
    code: 'context_length_exceeded',
    param,
  });
}
