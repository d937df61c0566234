import type { IsolatedRequest } from './isolated.ts';
import { openModel } from './client.ts';

// Answers one request of `askIsolated` and ends.
process.once('message', (message) => {
  const { model, call } = message as IsolatedRequest;
  const never = new AbortController().signal;
  openModel(model)
    .complete({ ...call, signal: never })
    .then((attempt) => process.send?.(attempt, () => process.exit(0)))
    .catch(() => process.exit(1));
});
