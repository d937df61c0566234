import type { ResultLine } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import { toFile } from 'openai';
import type { System } from '../../support/system.ts';
import { secondsOf } from '../service.ts';
import { answerInBlocks } from './blocks.ts';
import { chat } from './chat.ts';
import { NO_TOKENS, type Handled } from './handled.ts';
import type { Servers } from './servers.ts';
import { cascadeName, type Round, type Way } from './ways.ts';
import type { WorkDocument } from './work.ts';

/** What the ways share: the same documents, models and service. */
export type Bench = {
  readonly servers: Servers;
  readonly system: System;
  readonly documents: readonly WorkDocument[];
};

/** How often a batch's end is looked for: its times are those of the result lines. */
const LOOK_MS = 100;

/** One round: all documents in one way, from the moment that they are handed over to the last answer. */
export async function runWay(way: Way, bench: Bench): Promise<Round> {
  if (way.kind === 'cascade') return await runCascade(way, bench);
  const { servers, documents } = bench;
  const startedMs = performance.now();
  const handled = await mapConcurrent(documents, servers.concurrency, (document) =>
    way.kind === 'alone' ? askAlone(document, way.role, servers) : answerInBlocks(document, { ...servers, ...way }),
  );
  return { handled, makespanS: (performance.now() - startedMs) / 1_000 };
}

async function runCascade(way: Extract<Way, { kind: 'cascade' }>, { system, documents }: Bench): Promise<Round> {
  const url = '/v1/chat/completions';
  const lines = documents.map(({ customId, body }) =>
    JSON.stringify({ custom_id: customId, method: 'POST', url, body: { ...body, model: cascadeName(way) } }),
  );
  const input = await toFile(Buffer.from(`${lines.join('\n')}\n`), 'input.jsonl');
  const file = await system.client.files.create({ file: input, purpose: 'batch' });
  const startedMs = performance.now();
  const order = { input_file_id: file.id, endpoint: url, completion_window: '24h' } as const;
  const { id } = await system.client.batches.create(order);
  await secondsOf(system, id, LOOK_MS);
  const makespanS = (performance.now() - startedMs) / 1_000;
  const batch = await system.client.batches.retrieve(id);
  const read = (await system.lines(batch.output_file_id)).map((line) => way.read(line as ResultLine));
  const byId = new Map(read.map((one) => [one.customId, one]));
  const handled = documents.map(({ customId }) => {
    const one = byId.get(customId);
    if (one === undefined) throw new Error(`${way.name}: no line of ${customId}`);
    return one;
  });
  return { handled, makespanS };
}

async function askAlone(document: WorkDocument, role: 'drafter' | 'expert', servers: Servers): Promise<Handled> {
  const { customId, body } = document;
  const { text, tokens } = await chat(servers[role], { ...body, messages: body.messages.map((one) => ({ ...one })) });
  return {
    customId,
    answer: text,
    escalated: role === 'expert',
    drafter: NO_TOKENS,
    expert: NO_TOKENS,
    [role]: tokens,
    wasted: 0,
    readInside: null,
    sequentialMs: null,
    slow: null,
    asked: role === 'expert' ? 'answer' : 'none',
    draft: null,
    keptCharacters: null,
  };
}

/** Until the workers' checks of the models have found what the ways need: drafts are stopped and verified. */
export async function warmUp(ways: readonly Way[], bench: Bench): Promise<void> {
  const documents = bench.documents.slice(0, 60);
  for (const way of ways.filter(({ kind }) => kind === 'cascade')) {
    for (let tries = 0; ; tries += 1) {
      const { handled } = await runWay(way, { ...bench, documents });
      if (!handled.some(({ asked }) => /not_scored|not_continued/.test(asked))) break;
      if (tries > 20) throw new Error(`${way.name}: ${JSON.stringify(handled.map(({ asked }) => asked))}`);
    }
  }
}
