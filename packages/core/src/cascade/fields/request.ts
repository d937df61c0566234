import { definitionsIn } from '../../confidence/json-schema.ts';
import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import { cutText } from '../../text/cut.ts';
import { strictJson } from '../../text/json-line.ts';
import { isJsonObject, setOwn, type Json, type JsonObject } from '../../text/json.ts';
import { branchesOf, type Branch } from './branches.ts';
import type { FieldsPlan } from './plan.ts';
import { tokensOf } from './pointer.ts';
import { memberSchema, nameDefinitions, requiredBy, schemaAt } from './schema.ts';

/** What a schema says of a value, as far as it is repeated in words; the schema itself goes along whole. */
const MAX_DESCRIPTION_CHARACTERS = 1_000;

/**
 * The request that asks for some values of an answer by instruction: the client's own, with a further instruction behind
 * what the model reads last, and with its schema reduced to these values. The draft is not shown: whoever sees a guess
 * tends to agree with it. Null: the request has no place for a further instruction.
 */
export function fieldsRequest(endpoint: EndpointUrl, request: JsonObject, plan: FieldsPlan): JsonObject | null {
  const { format, withInstruction, withSchema } = ENDPOINTS[endpoint];
  const given = format(request)?.schema;
  const schema = isJsonObject(given) ? given : null;
  const asked = withInstruction(request, instruction(plan, schema));
  return asked === null || schema === null ? asked : withSchema(asked, reducedSchema(schema, plan), NAME_SUFFIX);
}

/** Servers may keep what they made of a schema by its name. */
const NAME_SUFFIX = '_fields';

/**
 * A schema of nothing but the values that are asked for. What the whole schema requires is required, and what it does not
 * may be left out: who must name what the document does not have invents it.
 */
export function reducedSchema(schema: JsonObject, plan: FieldsPlan): JsonObject {
  const parts = [...plan.paths, ...plan.absent].map((path) => schemaAt(schema, tokensOf(path)) ?? true);
  const reduced = reducedTo(schema, branchesOf(plan));
  const { $schema: dialect } = schema;
  return {
    ...(dialect === undefined ? {} : { $schema: dialect }),
    ...reduced,
    ...(nameDefinitions(parts) ? definitionsIn(schema) : {}),
  };
}

/** As deep as paths are long; recursion is bounded by their length. */
function reducedTo(schema: JsonObject, { inner }: Branch): JsonObject {
  const properties: Record<string, Json> = {};
  const requires = requiredBy(schema);
  for (const [name, branchOfName] of inner) {
    const own = memberSchema(schema, name) ?? true;
    setOwn(properties, name, branchOfName.asked !== null || !isJsonObject(own) ? own : reducedTo(own, branchOfName));
  }
  const required = [...inner].filter(([name, { isAbsent }]) => requires.has(name) && !isAbsent).map(([name]) => name);
  const { title, description } = schema;
  return {
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    type: 'object',
    properties,
    required,
    additionalProperties: false,
  };
}

function instruction(plan: FieldsPlan, schema: JsonObject | null): string {
  const isRequired = (path: string): boolean => schema === null || requiresAll(schema, tokensOf(path));
  const must = plan.paths.filter(isRequired);
  const may = [...plan.paths.filter((path) => !isRequired(path)), ...plan.absent];
  const described = [...must, ...may].flatMap((path) => describe(path, schema));
  return [
    'Of the JSON that is asked for above, only some values are wanted now. Answer with one JSON object that has these names, nested like this, and no others:',
    shapeOf(branchesOf(plan)),
    ...(may.length === 0 ? [] : [`Leave out of them where there is no such value: ${may.map(quoted).join(', ')}.`]),
    ...(described.length === 0 ? [] : ['What they are:', ...described]),
  ].join('\n');
}

function requiresAll(schema: JsonObject, tokens: readonly string[]): boolean {
  let at: Json | undefined = schema;
  for (const token of tokens) {
    if (!isJsonObject(at) || !requiredBy(at).has(token)) return false;
    at = memberSchema(at, token);
  }
  return true;
}

/** `{"buyer": {"name": …}, "total": …}` */
function shapeOf({ inner }: Branch): string {
  const members = [...inner].map(([name, own]) => `${strictJson(name)}: ${own.asked !== null ? '…' : shapeOf(own)}`);
  return `{${members.join(', ')}}`;
}

/** `"name" of "buyer"` */
const quoted = (path: string): string => tokensOf(path).toReversed().map(strictJson).join(' of ');

function describe(path: string, schema: JsonObject | null): string[] {
  const own = schemaAt(schema ?? undefined, tokensOf(path));
  const description = isJsonObject(own) ? own['description'] : undefined;
  if (typeof description !== 'string' || description.trim() === '') return [];
  return [`- ${quoted(path)}: ${cutText(description.trim(), MAX_DESCRIPTION_CHARACTERS, '…')}`];
}
