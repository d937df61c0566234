// Preloaded into a service by NODE_OPTIONS: ends the process, as SIGKILL would, at a chosen moment of writing a file.
// DIE_AT is `before link <text>` or `after link <text>`, where text is part of the new name. It is read at each link, so
// that a process which runs can be told of a moment, too.
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const link = promises.link;

promises.link = async (existing, created) => {
  const [when = '', , text = ''] = (process.env['DIE_AT'] ?? '').split(' ');
  const chosen = text !== '' && String(created).includes(text);
  if (chosen && when === 'before') process.kill(process.pid, 'SIGKILL');
  await link(existing, created);
  if (chosen && when === 'after') process.kill(process.pid, 'SIGKILL');
};
syncBuiltinESMExports();
