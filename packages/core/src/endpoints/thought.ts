import type { JsonObject } from '../text/json.ts';

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

const HARMONY_MARKS = ['<|channel|>', '<|start|>'] as const;

/** The header of harmony's last channel, such as `<|channel|>final <|constrain|>json<|message|>`. */
const FINAL = /<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>/;
const FINAL_BEHIND_THOUGHT = new RegExp(`<\\|end\\|>\\s*<\\|start\\|>\\s*assistant\\s*${FINAL.source}`);
const MESSAGE_END = /<\|(?:return|end|start|call|channel)\|>/;
const HARMONY_MARK = /<\|(?:start|end|return|call|constrain|channel|message)\|>/g;
const HARMONY_HEADER = /(?:<\|start\|>\s*assistant\s*)?<\|channel\|>[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>/g;

/** Harmony by a server that drops its marks and keeps the words between them. */
const BARE_HARMONY = /^(?:analysis|commentary)[\s\S]*?assistantfinal/;
const BARE_HARMONY_BEGIN = /^(?:analysis|commentary)(?![a-z-])/;

const NONE: ThoughtSplit = { kind: 'none' };

/** Splits a text of a model. Only what begins a text is a thought: one that speaks of such marks later on is whole. */
export function splitThought(text: string, request: JsonObject): ThoughtSplit {
  const start = blanksOf(text, 0);
  if (HARMONY_MARKS.some((mark) => text.startsWith(mark, start))) return splitHarmony(text);
  const marks = marksAt(text, start, request);
  if (marks !== null) return splitMarked(text, start, request);
  return splitOpened(text) ?? splitBareHarmony(text, start) ?? NONE;
}

/** Whether a text whose beginning is known begins with a thought; `maybe`: more of it must be seen. */
export function beginsThought(begin: string, request: JsonObject): 'yes' | 'no' | 'maybe' {
  const text = begin.slice(blanksOf(begin, 0));
  const marks = [...HARMONY_MARKS, ...TEMPLATE_MARKS.map(({ open }) => open), ...PLAIN_MARKS.map(({ open }) => open)];
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
  return plain === undefined || JSON.stringify(request).includes(plain.open) ? null : plain;
}

/** One thought after the other, as some models have several. */
function splitMarked(text: string, start: number, request: JsonObject): ThoughtSplit {
  const thoughts: string[] = [];
  let from = start;
  for (let marks = marksAt(text, from, request); marks !== null; marks = marksAt(text, from, request)) {
    const begin = from + marks.open.length;
    const end = text.indexOf(marks.close, begin);
    thoughts.push(text.slice(begin, end === -1 ? text.length : end).trim());
    if (end === -1) return { kind: 'unclosed', thought: joined(thoughts) };
    from = blanksOf(text, end + marks.close.length);
  }
  return { kind: 'split', from, to: text.length, thought: joined(thoughts), opened: false };
}

/** A thought that the prompt began: its end stands in the text without a beginning, and is not merely spoken of. */
function splitOpened(text: string): ThoughtSplit | null {
  const harmony = FINAL_BEHIND_THOUGHT.exec(text);
  if (harmony !== null)
    return { ...finalOf(text, harmony), thought: text.slice(0, harmony.index).trim(), opened: true };
  for (const { open, close } of TEMPLATE_MARKS) {
    const end = text.indexOf(close);
    if (end === -1 || text.lastIndexOf(open, end) !== -1 || isSpokenOf(text, end, close)) continue;
    const from = blanksOf(text, end + close.length);
    return { kind: 'split', from, to: text.length, thought: text.slice(0, end).trim(), opened: true };
  }
  return null;
}

/** Whether a mark stands in quotes, in code, or in a JSON text. */
function isSpokenOf(text: string, at: number, mark: string): boolean {
  const isQuoted = /["'`“‘«]/.test(text[at - 1] ?? '') && /["'`”’»]/.test(text[at + mark.length] ?? '');
  if (isQuoted || text.slice(0, at).split('```').length % 2 === 0) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function splitHarmony(text: string): ThoughtSplit {
  const final = FINAL.exec(text);
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
  const found = BARE_HARMONY.exec(text.slice(start));
  if (found === null) return null;
  const end = start + found[0].length;
  const thought = found[0].replace(/^(?:analysis|commentary)/, '').replace(/assistantfinal$/, '');
  return { kind: 'split', from: blanksOf(text, end), to: text.length, thought: thought.trim(), opened: false };
}

const joined = (thoughts: readonly string[]): string => thoughts.filter((one) => one !== '').join('\n\n');
