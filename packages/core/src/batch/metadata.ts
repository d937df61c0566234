/** The key of a batch's metadata that runs every stage on every document, to calibrate by what comes of it. */
export const SHADOW_KEY = 'spillway.shadow';

/** The key that says what a batch may cost, in US dollars. */
export const MAX_USD_KEY = 'spillway.max_usd';

/** The key that names the batch whose failed requests a batch holds. */
export const RETRY_OF_KEY = 'spillway.retry_of';

/** The key that names the batch whose documents a sample was drawn from. */
export const SAMPLE_OF_KEY = 'spillway.sample_of';

/** Whether a batch is a shadow run; `invalid` for a value that says neither. */
export function runsShadow(metadata: Readonly<Record<string, string>> | null): boolean | 'invalid' {
  const text = metadata?.[SHADOW_KEY];
  if (text === undefined || text === 'false') return false;
  return text === 'true' ? true : 'invalid';
}
