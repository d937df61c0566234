import { nanoUsd } from '../accounting/price.ts';
import type { Counts } from '../accounting/counts.ts';
import { resultLineId } from '../batch/ids.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { readUsage } from '../endpoints/completion.ts';
import { isJsonObject, type Json } from '../text/json.ts';
import { jsonLine } from '../text/json-line.ts';
import { writtenId } from './custom-id.ts';
import type { UnaskedResult } from './result.ts';
import { cascadeAnnotation, type CascadeAnnotation } from './result-line.ts';

/** What an answer took that others are given, too. */
type Saved = Pick<Counts, 'savedInputTokens' | 'savedOutputTokens' | 'savedNanoUsd'>;

/** The answer of a document as its copies get it. */
export type CopiedAnswer = {
  /** The `custom_id` of that document. */
  readonly customId: string;
  /** What its line says of the answer, byte by byte. */
  readonly answer: string;
  /** Null: its cascade's lines say nothing of that. */
  readonly cascade: CascadeAnnotation | null;
  readonly saved: Saved;
};

/** Which document a line is of that a copy gets. */
export type CopyPlace = {
  readonly batch: string;
  readonly document: number;
  readonly customId: string;
  /** Since when it was enqueued. */
  readonly waitedMs: number;
};

/** What stands in each of our lines before the answer, and behind it; within texts quotation marks are escaped. */
const ANSWER = ',"response":{';
const ANNOTATION = ',"error":null,"cascade":{';
const END = ',"error":null}';

/**
 * The answer in a line of the output file; null: the line is not as this version knows it. `read` is the line where it has
 * no annotation: then only the model's own answer says what it took.
 */
export function copiedAnswer(line: string, rules: CascadeRules, read: Json | null): CopiedAnswer | null {
  const start = line.indexOf(ANSWER);
  const customId = start === -1 ? null : customIdIn(`${line.slice(0, start)}}`);
  if (customId === null) return null;
  // The annotation is the line's last part, and nothing in it is called so.
  const at = line.lastIndexOf(ANNOTATION);
  const annotation = at > start ? annotationIn(line.slice(at + ANNOTATION.length - 1, -1)) : null;
  if (annotation !== null) {
    const answer = line.slice(start, at + ANNOTATION.indexOf(',"cascade"'));
    return { customId, answer, cascade: annotation, saved: savedBy(annotation, rules) };
  }
  if (rules.annotate || !line.endsWith(END)) return null;
  const answer = line.slice(start, -1);
  return { customId, answer, cascade: null, saved: leastSaved(read, rules) };
}

function customIdIn(text: string): string | null {
  const head = parsed(text);
  const id = isJsonObject(head) ? head['custom_id'] : null;
  return typeof id === 'string' ? id : null;
}

const annotationIn = (text: string): CascadeAnnotation | null => cascadeAnnotation.safeParse(parsed(text)).data ?? null;

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function savedBy({ stages }: CascadeAnnotation, rules: CascadeRules): Saved {
  const sum = { savedInputTokens: 0, savedOutputTokens: 0, savedNanoUsd: 0 };
  for (const [stage, { usage }] of stages.entries()) {
    const tokens = {
      inputTokens: usage.input_tokens,
      cachedTokens: usage.cached_tokens,
      outputTokens: usage.output_tokens,
    };
    sum.savedInputTokens += tokens.inputTokens;
    sum.savedOutputTokens += tokens.outputTokens;
    sum.savedNanoUsd += nanoUsd(tokens, rules.stages[stage]?.price ?? null);
  }
  return sum;
}

/** Of an answer of which it is not known by which stages it came: as if the cheapest had been asked alone. */
function leastSaved(line: Json | null, { stages }: CascadeRules): Saved {
  const response = isJsonObject(line) ? line['response'] : undefined;
  const body = isJsonObject(response) ? response['body'] : undefined;
  const usage = readUsage(isJsonObject(body) ? body['usage'] : undefined);
  return {
    savedInputTokens: usage.inputTokens,
    savedOutputTokens: usage.outputTokens,
    savedNanoUsd: Math.min(...stages.map(({ price }) => nanoUsd(usage, price))),
  };
}

/** The result of a document that is answered from an equal one. */
export function copyResult({ customId: of, answer, cascade, saved }: CopiedAnswer, place: CopyPlace): UnaskedResult {
  const { batch, document, customId, waitedMs } = place;
  const head = jsonLine({ id: resultLineId(batch, document), custom_id: writtenId(customId) }).slice(0, -1);
  const annotation = cascade === null ? '' : `,"cascade":${jsonLine(copiedAnnotation(cascade, of, waitedMs))}`;
  return {
    line: { part: 'output', text: `${head}${answer}${annotation}}` },
    counts: { completed: 1, copied: 1, ...saved },
  };
}

const NOTHING = { input_tokens: 0, cached_tokens: 0, output_tokens: 0 };

/** What was decided is what was decided for the first; nothing was asked. */
function copiedAnnotation(first: CascadeAnnotation, copyOf: string, waitedMs: number): CascadeAnnotation {
  return {
    ...first,
    copy_of: copyOf,
    stages: first.stages.map((stage) => ({
      ...stage,
      attempts: 0,
      usage: NOTHING,
      wait_ms: { queue: null, call: null, hand_off: null },
    })),
    wait_ms: { sequential: null, total: Math.max(0, Math.round(waitedMs)) },
  };
}
