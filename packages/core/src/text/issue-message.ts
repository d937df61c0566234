import type { z } from 'zod';

/** What was expected at the place of an issue, in words for whoever wrote the file. */
export function issueMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return `no key ${issue.keys.map((key) => `"${key}"`).join(', ')} (not known here)`;
  }
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => inner.message).join('; ');
  return issue.message.replace(/^Invalid input: /, '');
}
