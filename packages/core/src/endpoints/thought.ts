import { LIMITS } from '../limits.ts';
import { readingJson } from '../text/json-read.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { runAtOnce } from '../text/slices.ts';

/**
 * What of a text is the answer, where a server leaves what its model thinks in it.
 * - `none`: all of it.
 * - `split`: what lies from `from` to `to`. `opened`: the thought began in the prompt, as some chat templates have it, so
 *   that only its end is in the text.
 * - `unclosed`: nothing, as the thought never ends.
 */
export type ThoughtSplit =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'split';
      readonly from: number;
      readonly to: number;
      readonly thought: string;
      readonly opened: boolean;
    }
  | { readonly kind: 'unclosed'; readonly thought: string };

type Marks = { readonly open: string; readonly close: string };

/** Marks of chat templates; nobody means anything else by a text that begins with one. */
const TEMPLATE_MARKS: readonly Marks[] = [
  { open: '<think>', close: '</think>' },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '◁think▷', close: '◁/think▷' },
];

/** Tags that models think in, too, and that people ask answers to be written in: then they belong to the answer. */
const PLAIN_MARKS: readonly Marks[] = [
  { open: '<thinking>', close: '</thinking>' },
  { open: '<thought>', close: '</thought>' },
  { open: '<reasoning>', close: '</reasoning>' },
];

const ALL_MARKS = [...TEMPLATE_MARKS, ...PLAIN_MARKS];
const MAX_MARK_LENGTH = Math.max(...ALL_MARKS.map(({ open }) => open.length));

const HARMONY_MARKS = ['<|channel|>', '<|start|>'] as const;

/** The header of harmony's last channel, such as `<|channel|>final <|constrain|>json<|message|>`. */
export const HARMONY_FINAL = /<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>/;
const FINAL_BEHIND_THOUGHT = new RegExp(`<\\|end\\|>\\s*<\\|start\\|>\\s*assistant\\s*${HARMONY_FINAL.source}`);
const MESSAGE_END = /<\|(?:return|end|start|call|channel)\|>/;
const HARMONY_MARK = /<\|(?:start|end|return|call|constrain|channel|message)\|>/g;
const HARMONY_HEADER = /(?:<\|start\|>\s*assistant\s*)?<\|channel\|>[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>/g;

/** Harmony by a server that drops its marks and keeps the words between them; no other word begins with these. */
const BARE_CHANNELS = ['analysis', 'commentary'] as const;
const BARE_HARMONY = /^(?:analysis|commentary)[\s\S]*?assistantfinal/;
const BARE_HARMONY_BEGIN = /^(?:analysis|commentary)/;
/** Such a name and the beginning of a sentence; `analysisResult = 4` is an answer. */
const BARE_THOUGHT =
  /^(?:analysis|commentary)(?:(?:We|The|This|That|They|There|You|It|I|Let|So|Okay|Now|First|Need)(?:['’][a-z]+)?,?|User (?:asks|wants|says|gives|provides)) ["'\w]/;

/** More ends of thoughts than this are not looked at in a text that begins with none, nor more marks of any kind. */
const MAX_ENDS = 100;
const MAX_MARKS = 10_000;

/** How much of a long line is looked at for quotes. */
const MAX_LINE_LENGTH = 2000;

const NONE: ThoughtSplit = { kind: 'none' };

/**
 * Splits a text of a model. Only what begins a text is a thought: one that speaks of such marks later on is whole. What is
 * longer than anything that is judged is not searched either: half a million tokens are no model's answer.
 */
export function splitThought(text: string, request: JsonObject): ThoughtSplit {
  if (text.length > LIMITS.judgedCharacters) return NONE;
  const start = blanksOf(text, 0);
  if (HARMONY_MARKS.some((mark) => text.startsWith(mark, start))) return splitHarmony(text);
  const marks = marksAt(text, start, request);
  if (marks !== null) return splitMarked(text, start, request);
  return splitOpened(text, request) ?? splitBareHarmony(text, start) ?? NONE;
}

/** Whether a text whose beginning is known begins with a thought; `maybe`: more of it must be seen. */
export function beginsThought(begin: string, request: JsonObject): 'yes' | 'no' | 'maybe' {
  const text = begin.slice(blanksOf(begin, 0));
  const marks = [...HARMONY_MARKS, ...BARE_CHANNELS, ...ALL_MARKS.map(({ open }) => open)];
  if (HARMONY_MARKS.some((mark) => text.startsWith(mark)) || marksAt(text, 0, request) !== null) return 'yes';
  if (BARE_HARMONY_BEGIN.test(text)) return 'yes';
  const isBegun = marks.some((mark) => mark.startsWith(text));
  return isBegun ? 'maybe' : 'no';
}

/** Where what is no white space begins; a byte order mark is some. */
const blanksOf = (text: string, from: number): number => {
  const at = text.slice(from).search(/\S/);
  return at === -1 ? text.length : from + at;
};

/** The marks of the thought that begins here. */
function marksAt(text: string, at: number, request: JsonObject): Marks | null {
  const template = TEMPLATE_MARKS.find(({ open }) => text.startsWith(open, at));
  if (template !== undefined) return template;
  const plain = PLAIN_MARKS.find(({ open }) => text.startsWith(open, at));
  return plain === undefined || isMentioned(request, plain.open) ? null : plain;
}

/** One thought after the other, as some models have several; `opened` is one that ended before them. */
function splitMarked(text: string, start: number, request: JsonObject, opened: string | null = null): ThoughtSplit {
  const thoughts: string[] = opened === null ? [] : [opened];
  let from = start;
  // The request is long, perhaps, and looked at once for each kind of mark.
  const known = new Map<string, Marks | null>();
  const next = (at: number): Marks | null => {
    const open = text.slice(at, at + MAX_MARK_LENGTH);
    const kind = ALL_MARKS.find((one) => open.startsWith(one.open));
    if (kind === undefined) return null;
    const found = known.get(kind.open) ?? marksAt(text, at, request);
    known.set(kind.open, found);
    return found;
  };
  for (let marks = next(from); marks !== null; marks = next(from)) {
    const begin = from + marks.open.length;
    const end = text.indexOf(marks.close, begin);
    thoughts.push(text.slice(begin, end === -1 ? text.length : end).trim());
    if (end === -1) return { kind: 'unclosed', thought: joined(thoughts) };
    from = blanksOf(text, end + marks.close.length);
  }
  return { kind: 'split', from, to: text.length, thought: joined(thoughts), opened: opened !== null };
}

/** A thought that the prompt began: its end stands in the text without a beginning, and is not merely spoken of. */
function splitOpened(text: string, request: JsonObject): ThoughtSplit | null {
  const harmony = FINAL_BEHIND_THOUGHT.exec(text);
  if (harmony !== null)
    return { ...finalOf(text, harmony), thought: text.slice(0, harmony.index).trim(), opened: true };
  // JSON that has such a mark in it is an answer.
  const closed = TEMPLATE_MARKS.filter(({ close }) => text.includes(close));
  if (closed.length === 0 || looksLikeJson(text)) return null;
  for (const marks of closed) {
    const end = openedEnd(text, marks, request);
    if (end === null) continue;
    return splitMarked(text, blanksOf(text, end + marks.close.length), request, text.slice(0, end).trim());
  }
  return null;
}

/** Whether a text is JSON; of a long one its first character says so. */
function looksLikeJson(text: string): boolean {
  if (text.length > MAX_READ.characters) return /^\s*["[{]/.test(text);
  return runAtOnce(readingJson(text, MAX_READ)).kind !== 'no_json';
}

const MAX_READ = { characters: 64 * 1024, depth: 128, values: 100_000 };

/**
 * Where a thought ends that the prompt began. Best is an end as chat templates write it; where the request speaks of such
 * marks, its answer may, too, and no other one counts.
 */
function openedEnd(text: string, marks: Marks, request: JsonObject): number | null {
  const ends = endsOf(text, marks);
  const written = ends.find((end) => isAlone(text, end, marks.close));
  if (written !== undefined) return written;
  const [first] = ends;
  return first === undefined || speaksOf(request, marks) ? null : first;
}

/**
 * Ends without a beginning. What a line begins with is a beginning; what stands in the middle of one may be spoken of, and
 * is where an end comes alone.
 */
function endsOf(text: string, { open, close }: Marks): number[] {
  const ends: number[] = [];
  const begun: boolean[] = [];
  const marks = new RegExp([open, close, FENCE].map((mark) => RegExp.escape(mark)).join('|'), 'g');
  let [isCode, seen, all] = [false, 0, 0];
  for (const { 0: mark, index: at } of text.matchAll(marks)) {
    all += 1;
    if (all > MAX_MARKS) break;
    if (mark === FENCE) isCode = !isCode;
    if (mark === open) begun.push(lineBefore(text, at).trim() === '');
    if (mark !== close) continue;
    const isBegun = begun.pop();
    const isSpoken = isCode || isSpokenOf(text, at, close);
    if (!isSpoken && (isBegun === undefined || (!isBegun && isAlone(text, at, close)))) ends.push(at);
    seen += 1;
    if (seen === MAX_ENDS) break;
  }
  return ends;
}
/** Whether a mark stands in quotes or in code that is set in. */
function isSpokenOf(text: string, at: number, mark: string): boolean {
  const isQuoted = /["'`“‘«]/.test(text[at - 1] ?? '') && /["'`”’»]/.test(text[at + mark.length] ?? '');
  if (isQuoted) return true;
  const [before, behind] = [lineBefore(text, at), lineBehind(text, at + mark.length)];
  if (/^(?: {4}|\t)/.test(before)) return true;
  return QUOTES.some((quote) => countOf(before, quote) % 2 === 1 && countOf(behind, quote) % 2 === 1);
}

const FENCE = '```';

/** What begins or ends a quote; an apostrophe does not, but behind the letter of a literal such as `r'…'`. */
const QUOTES = [/"/g, /`/g, /(?<!\w)'|'(?!\w)|(?<=\b[rbfu])'/g] as const;

const countOf = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

function lineBefore(text: string, at: number): string {
  const before = text.slice(Math.max(0, at - MAX_LINE_LENGTH), at);
  return before.slice(before.lastIndexOf('\n') + 1);
}

const lineBehind = (text: string, at: number): string => text.slice(at, at + MAX_LINE_LENGTH).split('\n', 1)[0] ?? '';

/** Whether a mark has a line to itself, and an empty one behind it. */
const isAlone = (text: string, at: number, mark: string): boolean =>
  lineBefore(text, at).trim() === '' &&
  /^[^\S\n]*\n\s*\n/.test(text.slice(at + mark.length, at + mark.length + MAX_LINE_LENGTH));

/** Whether a request has such marks in what its client wrote: what was answered before says nothing of what is asked. */
const speaksOf = (request: JsonObject, { open }: Marks): boolean =>
  isMentioned(request, open.slice(1), (value) => value['role'] === 'assistant');

/** Whether a text stands in a name or a string somewhere in a request, but for what is passed over. */
function isMentioned(
  request: JsonObject,
  text: string,
  passesOver: (value: JsonObject) => boolean = () => false,
): boolean {
  const left: Json[] = [request];
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (typeof value === 'string' && value.includes(text)) return true;
    if (Array.isArray(value)) for (const one of value as readonly Json[]) left.push(one);
    if (!isJsonObject(value) || passesOver(value)) continue;
    for (const [name, one] of Object.entries(value)) {
      if (name.includes(text)) return true;
      left.push(one);
    }
  }
  return false;
}

function splitHarmony(text: string): ThoughtSplit {
  const final = HARMONY_FINAL.exec(text);
  const before = text.slice(0, final?.index ?? text.length).replaceAll(/<\|start\|>\s*assistant\s*$/g, '');
  const thoughts = before.replaceAll(HARMONY_HEADER, '\n').replaceAll(HARMONY_MARK, '\n').trim();
  if (final === null) return { kind: 'unclosed', thought: thoughts };
  return { ...finalOf(text, final), thought: thoughts, opened: false };
}

/** The text of harmony's last channel. */
function finalOf(text: string, header: RegExpExecArray): { kind: 'split'; from: number; to: number } {
  const begin = header.index + header[0].length;
  const end = text.slice(begin).search(MESSAGE_END);
  const to = end === -1 ? text.length : begin + end;
  return { kind: 'split', from: Math.min(to, blanksOf(text, begin)), to };
}

function splitBareHarmony(text: string, start: number): ThoughtSplit | null {
  const said = text.slice(start);
  const found = BARE_HARMONY.exec(said);
  const thoughtIn = (all: string): string =>
    all
      .replace(BARE_HARMONY_BEGIN, '')
      .replace(/assistantfinal$/, '')
      .trim();
  if (found === null) return BARE_THOUGHT.test(said) ? { kind: 'unclosed', thought: thoughtIn(said) } : null;
  const from = blanksOf(text, start + found[0].length);
  return { kind: 'split', from, to: text.length, thought: thoughtIn(found[0]), opened: false };
}

const joined = (thoughts: readonly string[]): string => thoughts.filter((one) => one !== '').join('\n\n');
