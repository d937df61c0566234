/** The key of a batch's metadata that runs every document through both tiers, to calibrate by what comes of it. */
export const BOTH_KEY = 'spillway.both';

/** Whether a batch runs both tiers; `invalid` for a value that says neither. */
export function runsBoth(metadata: Readonly<Record<string, string>> | null): boolean | 'invalid' {
  const text = metadata?.[BOTH_KEY];
  if (text === undefined || text === 'false') return false;
  return text === 'true' ? true : 'invalid';
}
