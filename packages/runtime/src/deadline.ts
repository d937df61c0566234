/** Something took longer than it was waited for; whatever it was may still come. */
export class LateError extends Error {
  override readonly name = 'LateError';
}

/** A promise's value, or an error when it takes too long. The work behind it goes on; its outcome is dropped. */
export async function within<Value>(limitMs: number, work: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new LateError(`No answer within ${limitMs} ms`)), limitMs);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
