import { LIMITS } from '@spillway/core';
import { aboveMaximum, belowMinimum, invalidType, invalidValue, missingParameter } from '../errors.ts';

/** Checks an `expires_after` or `output_expires_after` whose parts are already apart; answers its seconds. */
export function checkExpiry(param: string, anchor: unknown, seconds: unknown): number {
  if (anchor === undefined || anchor === null) throw missingParameter(`${param}.anchor`);
  if (typeof anchor !== 'string') throw invalidType(`${param}.anchor`, 'a string', anchor);
  if (anchor !== 'created_at') throw invalidValue(`${param}.anchor`, anchor, "'created_at'");
  if (seconds === undefined || seconds === null) throw missingParameter(`${param}.seconds`);
  if (typeof seconds !== 'number' || !Number.isInteger(seconds))
    throw invalidType(`${param}.seconds`, 'an integer', seconds);
  const { fileExpiryMinSeconds, fileExpiryMaxSeconds } = LIMITS;
  if (seconds < fileExpiryMinSeconds) throw belowMinimum(`${param}.seconds`, fileExpiryMinSeconds, String(seconds));
  if (seconds > fileExpiryMaxSeconds) throw aboveMaximum(`${param}.seconds`, fileExpiryMaxSeconds, String(seconds));
  return seconds;
}
