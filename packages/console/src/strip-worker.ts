import { stripTypeScriptTypes } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';

// Node says each time that this function may change one day; that of the program is pinned, and a test runs it.
process.removeAllListeners('warning');
const stripped = (workerData as readonly string[]).map((source) => stripTypeScriptTypes(source));
const port = parentPort;
port?.postMessage(stripped);
