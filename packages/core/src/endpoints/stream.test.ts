import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import fc from 'fast-check';
import type { JsonObject } from '../text/json.ts';
import { ENDPOINT_URLS, ENDPOINTS, type EndpointUrl, type StreamEvent } from './index.ts';

const LOGPROBS = 'message.output_text.logprobs';
const COUNTED: JsonObject = { stream: true, stream_options: { include_usage: true } };

function collect(url: EndpointUrl, events: readonly JsonObject[]): JsonObject | null {
  const collector = ENDPOINTS[url].stream.collect();
  for (const data of events) collector.push(data);
  return collector.body();
}

const dataOf = (events: readonly StreamEvent[]): JsonObject[] => events.map(({ data }) => data);
const withoutUsage = ({ usage: _usage, ...body }: JsonObject): JsonObject => body;

/** A whole answer as the endpoint gives it, with what only some servers say. */
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const said = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const number = fc.integer({ min: -1000, max: 1000 });
const entry = fc.record({
  token: text,
  logprob: number,
  bytes: fc.option(fc.array(fc.nat(255), { maxLength: 3 })),
  top_logprobs: fc.array(fc.record({ token: text, logprob: number }), { maxLength: 2 }),
});
const usage = fc.record({ prompt_tokens: fc.nat(), completion_tokens: fc.nat(), total_tokens: fc.nat() });
const reason = fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter');
const chatLogprobs = fc.option(
  fc.record({ content: fc.option(fc.array(entry, { maxLength: 3 })), refusal: fc.constant(null) }),
);
const call = fc.oneof(
  fc.record({
    id: said,
    type: fc.constant('function'),
    function: fc.record({ name: said, arguments: fc.json() }),
  }),
  fc.record({ id: said, type: fc.constant('custom'), custom: fc.record({ name: said, input: text }) }),
);
const message = fc.oneof(
  fc.record(
    { role: fc.constant('assistant'), content: fc.option(text), refusal: fc.constant(null), reasoning_content: said },
    { requiredKeys: ['role', 'content'] },
  ),
  fc.record({ role: fc.constant('assistant'), content: fc.constant(null), refusal: said }),
  fc.record({
    role: fc.constant('assistant'),
    content: fc.option(said),
    tool_calls: fc.array(call, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    role: fc.constant('assistant'),
    content: fc.array(fc.record({ type: fc.constant('text'), text }), { minLength: 1, maxLength: 3 }),
    annotations: fc.array(fc.record({ type: said })),
  }),
  fc.record({
    role: fc.constant('assistant'),
    content: fc.constant(null),
    function_call: fc.record({ name: said, arguments: fc.json() }),
  }),
);
const head = {
  id: said,
  created: fc.nat(),
  model: said,
  system_fingerprint: fc.option(said),
  service_tier: said,
  usage,
  spare: fc.record({ deep: fc.array(text) }),
};
const indexed = (choices: readonly object[]) => choices.map((choice, index) => ({ index, ...choice }));
const CHOICE_KEYS = { finish_reason: reason, logprobs: chatLogprobs, stop_reason: fc.option(fc.nat()) };

/** As a parser gives it. */
const parsed = (arbitrary: fc.Arbitrary<object>): fc.Arbitrary<JsonObject> =>
  arbitrary.map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

const BODIES: Readonly<Record<EndpointUrl, fc.Arbitrary<JsonObject>>> = {
  '/v1/chat/completions': parsed(
    fc.record(
      {
        ...head,
        object: fc.constant('chat.completion'),
        choices: fc
          .array(fc.record({ message, ...CHOICE_KEYS }, { requiredKeys: ['message', 'finish_reason'] }), {
            minLength: 1,
            maxLength: 3,
          })
          .map(indexed),
      },
      { requiredKeys: ['id', 'object', 'choices'] },
    ),
  ),
  '/v1/completions': parsed(
    fc.record(
      {
        ...head,
        object: fc.constant('text_completion'),
        choices: fc
          .array(
            fc.record(
              {
                ...CHOICE_KEYS,
                text,
                logprobs: fc.option(
                  fc.record({
                    tokens: fc.array(text),
                    token_logprobs: fc.array(fc.option(number)),
                    top_logprobs: fc.option(fc.array(fc.option(fc.dictionary(said, number, { maxKeys: 2 })))),
                    text_offset: fc.array(fc.nat()),
                  }),
                ),
              },
              { requiredKeys: ['text', 'finish_reason'] },
            ),
            { minLength: 1, maxLength: 3 },
          )
          .map(indexed),
      },
      { requiredKeys: ['id', 'object', 'choices'] },
    ),
  ),
  '/v1/responses': parsed(
    fc.record({
      id: said,
      object: fc.constant('response'),
      status: fc.constantFrom('completed', 'incomplete', 'failed'),
      output: fc.array(
        fc.oneof(
          fc.record({ type: fc.constant('reasoning'), id: said, summary: fc.array(text) }),
          fc.record({
            type: fc.constant('function_call'),
            id: said,
            call_id: said,
            name: said,
            arguments: fc.json(),
            status: fc.constant('completed'),
          }),
          fc.record({
            type: fc.constant('message'),
            id: said,
            role: fc.constant('assistant'),
            status: fc.constant('completed'),
            content: fc.array(
              fc.oneof(
                fc.record({
                  type: fc.constant('output_text'),
                  text,
                  annotations: fc.array(fc.record({ type: said })),
                  logprobs: fc.array(entry),
                }),
                fc.record({ type: fc.constant('refusal'), refusal: text }),
              ),
            ),
          }),
        ),
      ),
      usage,
    }),
  ),
};

for (const url of ENDPOINT_URLS) {
  const { stream } = ENDPOINTS[url];

  test(`${url}: an answer made into events and put together again is the same answer`, () => {
    fc.assert(
      fc.property(BODIES[url], (body) => {
        assert.deepEqual(collect(url, dataOf(stream.events(body, COUNTED))), body);
        const uncounted = collect(url, dataOf(stream.events(body, { stream: true })));
        assert.deepEqual(uncounted, url === '/v1/responses' ? body : withoutUsage(body));
      }),
    );
  });

  test(`${url}: it is not whole before its last event but for the usage, and no event changes what was given out`, () => {
    fc.assert(
      fc.property(BODIES[url], (body) => {
        const events = dataOf(stream.events(body, { stream: true }));
        const collector = stream.collect();
        for (const data of events.slice(0, -1)) {
          collector.push(data);
          assert.equal(collector.body(), null);
        }
        collector.push(events.at(-1) ?? {});
        const first = collector.body();
        const copy = structuredClone(first);
        for (const data of events) collector.push(data);
        assert.deepEqual(first, copy);
      }),
    );
  });

  test(`${url}: what is shown of the events is what is shown of the answer`, () => {
    const requests: readonly JsonObject[] = [
      { stream: true },
      { ...COUNTED, logprobs: true, top_logprobs: 1, include: [LOGPROBS] },
      { ...COUNTED, logprobs: 1 },
    ];
    fc.assert(
      fc.property(BODIES[url], fc.constantFrom(...requests), (body, request) => {
        const shown = dataOf(stream.events(body, COUNTED)).flatMap((data) => stream.show(data, request) ?? []);
        const whole = runAtOnce(ENDPOINTS[url].answer(body, request, { wanted: true, top: 20 }));
        const isCounted = 'stream_options' in request || url === '/v1/responses';
        assert.deepEqual(collect(url, dataOf(shown)), isCounted ? whole : withoutUsage(whole));
      }),
    );
  });

  test(`${url}: whatever events come, nothing throws, and nothing but an object comes of it`, () => {
    const keys = fc.constantFrom(
      'choices',
      'delta',
      'content',
      'logprobs',
      'text',
      'type',
      'index',
      'tool_calls',
      'function',
      'arguments',
      'finish_reason',
      'response',
      'output',
      'item',
      'part',
      'output_index',
      'usage',
      '__proto__',
      'message',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom('response.completed', 'response.output_item.done', 'stop', '', null, 0, -1, 1e9, true),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(keys, tie('tree'), { maxKeys: 5 }),
      ),
    }));
    const event = parsed(fc.dictionary(keys, tree, { maxKeys: 6 }));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), event, (events, request) => {
        const before = JSON.stringify(events);
        const body = collect(url, events);
        assert.ok(body === null || (typeof body === 'object' && !Array.isArray(body)));
        assert.equal(JSON.stringify(events), before, 'what came is not touched');
        for (const data of events) {
          stream.show(data, request);
          stream.annotate(data, { stage: 1 });
          stream.events(data, request);
        }
      }),
      { numRuns: 1000 },
    );
  });
}
