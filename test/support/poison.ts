// Preloaded into a service by NODE_OPTIONS, and so into its children: reading an answer that holds the poison ends the
// process, as a crash in native code or out of memory would.
const parse = JSON.parse;

JSON.parse = (text, reviver) => {
  if (text.includes('deadly answer')) process.kill(process.pid, 'SIGKILL');
  return parse(text, reviver);
};
