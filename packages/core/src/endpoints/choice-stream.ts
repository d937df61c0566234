import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { runAtOnce } from '../text/slices.ts';
import { readTokens } from './completion-tokens.ts';
import { Pieces, type DraftPiece, type EndpointStream, type StreamCollector, type StreamEvent } from './stream.ts';

/** A choice of an answer that comes in pieces. */
export type ChoicePieces = {
  push(piece: JsonObject): void;
  /** Null as long as nothing says why it ended. */
  choice(index: number): JsonObject | null;
};

/** Fields of a chunk that are not about the answer: OpenAI pads its chunks so that their length says nothing. */
const OF_CHUNKS: ReadonlySet<string> = new Set(['choices', 'object', 'obfuscation']);

/** What the streams of endpoints with choices do not share. */
type ChoiceStreamOptions = {
  /** The `object` of an answer and of a chunk. */
  readonly object: string;
  readonly chunk: string;
  readonly open: () => ChoicePieces;
  /** The choices of a whole answer as those of the chunks that would have made it; every one begins before one ends. */
  readonly pieces: (choices: readonly { readonly choice: JsonObject; readonly index: number }[]) => JsonObject[];
  /** What a chunk's choice says. */
  readonly said: (choice: JsonObject) => { readonly text: string | null; readonly isOther: boolean };
  /** By what a chunk's choice shows that the answer cannot be judged; null: by nothing. */
  readonly unjudgeable: (choice: JsonObject) => 'tool_call' | 'refused' | null;
  /** A chunk's choice as the client asked for it. */
  readonly show: (choice: Json, request: JsonObject) => Json;
};

/** How endpoints whose answers have choices stream. */
export function choiceStream({
  object,
  chunk,
  open,
  pieces,
  said,
  unjudgeable,
  show,
}: ChoiceStreamOptions): EndpointStream {
  return {
    fields: { stream: true, stream_options: { include_usage: true } },
    end: '[DONE]',
    collect: () => collectChoices(object, open),
    said: (data) => {
      const all = choicesOf(data).map((choice) => ({ index: indexOf(choice, 0), ...said(choice) }));
      return {
        texts: all.flatMap(({ index, text }) => (text === null ? [] : [{ index, text }])),
        isOther: all.some(({ isOther }) => isOther),
      };
    },
    draft: (data) => draftPiece(choicesOf(data), { said, unjudgeable }),
    stopped: { choices: [{ index: 0, finish_reason: STOPPED_EARLY }] },
    events: (body, request) => {
      const choices = choicesOf(body).map((choice, at) => ({ choice, index: indexOf(choice, at) }));
      return chunksOf(body, request, chunk, pieces(choices));
    },
    annotate: (data, cascade) => ({ ...data, cascade }),
    show: (data, request) => {
      const shown = showUsage(data, request);
      if (shown === null) return null;
      const choices = (shown['choices'] as readonly Json[]).map((choice) => show(choice, request));
      return { event: null, data: { ...shown, choices } };
    },
    failed: (envelope) => ({ event: null, data: envelope }),
  };
}

/** Why an answer ended that was given up; no server says so. */
const STOPPED_EARLY = 'stopped_early';

/** A piece of an answer that has one choice; tokens of anything but its text are none of its own. */
function draftPiece(
  choices: readonly JsonObject[],
  { said, unjudgeable }: Pick<ChoiceStreamOptions, 'said' | 'unjudgeable'>,
): DraftPiece {
  const [choice] = choices;
  if (choice === undefined) return { kind: 'other', tokens: [] };
  const listed = runAtOnce(readTokens(choice['logprobs']));
  const tokens = listed.kind === 'listed' ? listed.tokens : [];
  const kind = unjudgeable(choice);
  if (kind !== null) return { kind, tokens };
  const { text, isOther } = said(choice);
  return isOther || text === null ? { kind: 'other', tokens } : { kind: 'text', text, tokens };
}

/** The collector of the endpoints whose answers have choices. */
function collectChoices(object: string, open: () => ChoicePieces): StreamCollector {
  const head = new Pieces();
  const choices = new Map<number, ChoicePieces>();
  return {
    push: (data) => {
      for (const [key, value] of Object.entries(data)) if (!OF_CHUNKS.has(key)) head.set(key, value);
      for (const piece of choicesOf(data)) {
        const index = indexOf(piece, 0);
        const choice = choices.get(index) ?? open();
        choices.set(index, choice);
        choice.push(piece);
      }
    },
    body: () => {
      const sorted = [...choices].toSorted(([left], [right]) => left - right);
      const whole = sorted.map(([index, choice]) => choice.choice(index));
      if (whole.length === 0 || whole.includes(null)) return null;
      const { usage, ...rest } = head.object();
      return { ...rest, object, choices: whole as JsonObject[], ...(isSaid(usage) ? { usage } : {}) };
    },
  };
}

const isSaid = (value: Json | undefined): value is Json => value !== undefined && value !== null;

/** The choices of an answer or of a chunk, those that are any. */
const choicesOf = (data: JsonObject): readonly JsonObject[] =>
  Array.isArray(data['choices'])
    ? data['choices'].filter((choice: Json): choice is JsonObject => isJsonObject(choice))
    : [];

export function indexOf(piece: JsonObject, otherwise: number): number {
  const { index } = piece;
  return typeof index === 'number' ? index : otherwise;
}

/** Whether something says why a choice ended; some servers say an empty text until then. */
export const hasEnded = (choice: Pieces): boolean => (choice.get('finish_reason') ?? '') !== '';

/** Goes on with log-probs, whose shapes are all objects of lists. */
export function extendLogprobs(logprobs: Pieces | null, piece: Json): Pieces | null {
  if (!isJsonObject(piece)) return logprobs;
  const grown = logprobs ?? new Pieces();
  for (const [key, value] of Object.entries(piece)) grown.extend(key, value);
  return grown;
}

function wantsUsage(request: JsonObject): boolean {
  const options = request['stream_options'];
  return isJsonObject(options) && options['include_usage'] === true;
}

/** A chunk with its usage as the client asked for it: one that holds nothing else is left out. */
function showUsage(data: JsonObject, request: JsonObject): JsonObject | null {
  if (!Array.isArray(data['choices'])) return null;
  if (wantsUsage(request)) return data;
  const { usage, ...rest } = data;
  return data['choices'].length === 0 && isSaid(usage) ? null : rest;
}

const OF_ALL_CHUNKS: ReadonlySet<string> = new Set(['id', 'created', 'model', 'system_fingerprint', 'service_tier']);

/**
 * The chunks of a whole answer with choices. What belongs to the whole answer stands in the first chunk, its id and
 * its like in all; the usage has a chunk of its own, and a null in the others, where the client asked for it.
 */
function chunksOf(
  body: JsonObject,
  request: JsonObject,
  object: string,
  pieces: readonly JsonObject[],
): readonly StreamEvent[] {
  const { choices: _choices, usage, object: _object, ...more } = body;
  const head = Object.fromEntries(Object.entries(more).filter(([key]) => OF_ALL_CHUNKS.has(key)));
  const open = wantsUsage(request) ? { usage: null } : {};
  const chunks = pieces.map((piece, at): JsonObject => ({
    ...(at === 0 ? more : head),
    object,
    choices: [piece],
    ...open,
  }));
  const last: JsonObject[] = wantsUsage(request) && isSaid(usage) ? [{ ...head, object, choices: [], usage }] : [];
  return [...chunks, ...last].map((data) => ({ event: null, data }));
}
