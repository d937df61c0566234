import { cutText, type Fault, type ReadJson } from '@spillway/core';
import { faultInside, type Redact } from './fault.ts';

/** What an answer is that goes beyond what a server may send. */
const BEYOND = {
  too_deep: 'an answer that is nested too deep',
  too_many_values: 'an answer of too many values',
} as const;

/** Far more than is shown: a key in it is found before it is cut. */
const MAX_REDACTED = 65_536;

/** The fault that it is when a server says something else than an answer. */
export function noCompletion(
  read: ReadJson,
  text: string,
  { response: { status, headers }, redact }: { readonly response: Response; readonly redact: Redact },
): Fault {
  const garbled = (what: string): Fault => ({ kind: 'garbled', status, message: `${status} with ${what}` });
  if (read.kind === 'beyond') return garbled(BEYOND[read.excess]);
  const inside = read.kind === 'json' ? faultInside(read.value, headers, redact) : null;
  if (inside !== null) return inside;
  const begin = JSON.stringify(cutText(redact(cutText(text, MAX_REDACTED)), 200));
  return garbled(`a body that is no completion: ${begin}`);
}
