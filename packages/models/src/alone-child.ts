import type { AloneRequest } from './alone.ts';
import { openModel } from './client.ts';

// Answers one request of `askAlone` and ends.
process.once('message', (message) => {
  const { model, call } = message as AloneRequest;
  const never = new AbortController().signal;
  openModel(model)
    .complete({ ...call, signal: never })
    .then((attempt) => process.send?.(attempt, () => process.exit(0)))
    .catch(() => process.exit(1));
});
