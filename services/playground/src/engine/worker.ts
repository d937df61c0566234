/** The thread of one model: loads it, says so, and answers requests until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { Batcher } from './batcher.ts';
import { loadDecoder } from './decoder.ts';
import type { FromWorker, ModelOptions, ToWorker } from './messages.ts';
import { loadTokenizer } from './tokenizer.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the inside of a worker thread');

const { file, weights, maxRows } = workerData as ModelOptions;
const tell = (message: FromWorker): void => port.postMessage(message);
const weightsUrl = new URL(weights);
const decoder = await loadDecoder(weightsUrl, file);
const batcher = new Batcher(decoder, loadTokenizer(new URL('tokenizer.json', weightsUrl)), maxRows);

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'generate':
      batcher.add(message.id, message.request, (events) => tell({ kind: 'events', id: message.id, events }));
      // An error here is one of the engine itself: it ends the thread, and with it the process, loudly.
      void batcher.work();
      return;
    case 'cancel':
      batcher.cancel(message.id);
      return;
    case 'stop':
      port.close();
      return;
  }
});
tell({ kind: 'ready', shape: decoder.shape });
