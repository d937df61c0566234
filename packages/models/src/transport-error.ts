/** Where a call broke: before a byte of it was sent, after that, or in an answer that cannot be one. */
type Break = 'unsent' | 'sent' | 'garbled' | 'closed';

export class TransportError extends Error {
  readonly at: Break;
  readonly status: number | null;

  constructor(at: Break, message: string, options: { readonly status?: number | null; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'TransportError';
    this.at = at;
    this.status = options.status ?? null;
  }
}

/** How far a call had come that failed. */
type Progress = {
  /** It had a connection, and was handed to it. */
  readonly isStarted: boolean;
  /** A connection takes all of it, or nothing. */
  readonly isOneWrite: boolean;
  /** Of its answer; null: nothing came of one. */
  readonly status: number | null;
};

/** What undici says of a call that failed, as Spillway says it. */
export function breakOf(error: Error, { isStarted, isOneWrite, status }: Progress): TransportError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') {
    return new TransportError('closed', 'the model client is closed', { cause: error });
  }
  /** Bytes came and were not HTTP; the parser's errors have a code only now and then. */
  const garbled = error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW';
  const message = garbled ? ['an answer that is not HTTP', code].join(' ').trim() : wordsFor(error, code);
  // As where no connection could be made: a connection that was broken already took nothing of it.
  const isUnsent = !isStarted || (isOneWrite && status === null && 'syscall' in error && error.syscall === 'write');
  return new TransportError(garbled ? 'garbled' : isUnsent ? 'unsent' : 'sent', message, { status, cause: error });
}

/** What undici's codes mean. */
const MEANINGS: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_SOCKET: 'other side closed',
};

/**
 * What broke, without where: Node and undici name the host and the port, and what is said here may come before tenants.
 * The operator finds them by the model's name in the configuration, and in the cause.
 */
function wordsFor(error: Error, code: string): string {
  // Of a host with several addresses, each has an error of its own.
  const [first = error] = error instanceof AggregateError ? (error.errors as readonly Error[]) : [];
  if ('syscall' in first && typeof first.syscall === 'string') return `${first.syscall} ${code}`.trim();
  const meaning = MEANINGS[code] ?? 'the connection failed';
  return code === '' ? meaning : `${meaning} (${code})`;
}
