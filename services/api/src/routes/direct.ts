import { ENDPOINT_URLS, ENDPOINTS, type Endpoint } from '@spillway/core';
import { z } from 'zod';
import { directAnswer, directBody, type DirectAnswers } from '../direct/direct-answers.ts';
import { streamRoute, type Route } from '../route.ts';
import { refuseForms } from './bodies.ts';

export function directRoutes(direct: DirectAnswers): readonly Route[] {
  return ENDPOINT_URLS.map((url) =>
    streamRoute({
      method: 'POST',
      url: url.slice('/v1'.length),
      summary: `Answer one document at once: ${ENDPOINTS[url].name}`,
      body: { type: 'application/json', schema: bodySchema(ENDPOINTS[url]) },
      output: { type: 'application/json', schema: directAnswer },
      also: [{ type: 'text/event-stream', schema: eventStream }],
      errors: [404, 408, 413, 415, 429, 502, 504],
      answer: ({ caller, request, reply }) => {
        refuseForms(request);
        return direct.answer({ url, caller, request, reply });
      },
    }),
  );
}

const eventStream = z
  .string()
  .meta({ description: "Server-sent events as OpenAI's, where the body has `stream: true`." });

/** What the model is to answer, by the field that an endpoint reads it from. */
const INPUTS = {
  messages: z.array(z.looseObject({})).min(1),
  prompt: z.union([z.string(), z.array(z.unknown()).min(1)]),
  input: z.union([z.string().min(1), z.array(z.unknown()).min(1)]),
} as const satisfies Record<Endpoint['inputField'], z.ZodType>;

/** The body that an endpoint takes, as it is shown; the direct answer itself reads it. */
function bodySchema({ name, inputField }: Endpoint): z.ZodType {
  const shape = { [inputField]: INPUTS[inputField], stream: z.boolean().nullish() };
  return directBody.extend(shape).meta({
    id: `${name.replaceAll(' ', '')}Request`,
    description: 'As for OpenAI; `model` is the name of a cascade.',
  });
}
