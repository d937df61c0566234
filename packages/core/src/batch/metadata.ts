/** The key of a batch's metadata that runs every stage on every document, to calibrate by what comes of it. */
export const SHADOW_KEY = 'spillway.shadow';

/** The key that says what a batch may cost, in US dollars. */
export const MAX_USD_KEY = 'spillway.max_usd';

/** The key that says where lines go that are no requests. */
export const ON_BAD_LINES_KEY = 'spillway.on_bad_lines';

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

/** Where bad lines go: they fail the batch, or each is a line of its error file. */
export const BAD_LINES_TO = ['fail', 'error_file'] as const;

/** What is done with bad lines; `invalid` for a value that says neither. */
export function onBadLines(
  metadata: Readonly<Record<string, string>> | null,
): (typeof BAD_LINES_TO)[number] | 'invalid' {
  const text = metadata?.[ON_BAD_LINES_KEY] ?? 'fail';
  return BAD_LINES_TO.find((known) => known === text) ?? 'invalid';
}
