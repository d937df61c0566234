import { OPERATORS, type Condition, type Literal, type Operator } from './expression.ts';

type Token = { readonly kind: 'word' | 'text' | 'number' | 'sign' | 'end'; readonly text: string; readonly at: number };

/** Deeper and longer than any condition that somebody writes: reading is by recursion, and each term looks at a line. */
const MAX_DEPTH = 100;
const MAX_TERMS = 50;

const PIECES: readonly (readonly [Token['kind'] | 'space', RegExp])[] = [
  ['space', /\s+/y],
  ['number', /-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/y],
  ['text', /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy],
  ['sign', /<=|>=|!=|==|!~|[=<>~()]/y],
  ['word', /[\p{L}_][\p{L}\p{N}_.\-/]*/uy],
];

/** Reads a condition such as `confidence < .8 and (role = expert or not escalated)`; says in one line what is wrong. */
export function parseWhere(text: string, known: (field: string) => boolean): Condition {
  const reader = new Reader(text, known);
  const condition = reader.either(0);
  reader.end();
  return condition;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const found = PIECES.map(([kind, pattern]) => {
      pattern.lastIndex = at;
      return { kind, piece: pattern.exec(text)?.[0] };
    }).find(({ piece }) => piece !== undefined);
    if (found?.piece === undefined) throw problem(text, at, 'cannot be read');
    if (found.kind !== 'space') tokens.push({ kind: found.kind, text: found.piece, at });
    at += found.piece.length;
  }
  return [...tokens, { kind: 'end', text: '', at: text.length }];
}

/** What a condition says wrong, in one line. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError';
}

const problem = (text: string, at: number, what: string): ConditionError =>
  new ConditionError(
    `${at >= text.length ? 'its end' : `"${text.slice(at, at + 20)}" (character ${at + 1})`} ${what}; ` +
      `such as: confidence < .8 and (role = expert or not escalated)`,
  );

class Reader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #known: (field: string) => boolean;
  #place = 0;
  #terms = 0;

  constructor(text: string, known: (field: string) => boolean) {
    this.#text = text;
    this.#tokens = tokensOf(text);
    this.#known = known;
  }

  get #next(): Token {
    return this.#tokens[this.#place] ?? { kind: 'end', text: '', at: this.#text.length };
  }

  #take(): Token {
    const token = this.#next;
    this.#place += 1;
    return token;
  }

  #takes(word: string): boolean {
    const { kind, text } = this.#next;
    const fits = (kind === 'word' && text.toLowerCase() === word) || (kind === 'sign' && text === word);
    if (fits) this.#place += 1;
    return fits;
  }

  #wrong(what: string, at = this.#next.at): ConditionError {
    return problem(this.#text, at, what);
  }

  either(depth: number): Condition {
    let left = this.#both(depth);
    while (this.#takes('or')) left = { kind: 'or', left, right: this.#both(depth) };
    return left;
  }

  #both(depth: number): Condition {
    let left = this.#one(depth);
    while (this.#takes('and')) left = { kind: 'and', left, right: this.#one(depth) };
    return left;
  }

  #one(depth: number): Condition {
    if (depth > MAX_DEPTH) throw this.#wrong('is nested too deep');
    if (this.#takes('not')) return { kind: 'not', of: this.#one(depth + 1) };
    if (this.#takes('(')) {
      const inner = this.either(depth + 1);
      if (!this.#takes(')')) throw this.#wrong('stands where a ")" is missing');
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Condition {
    const { kind, text: field, at } = this.#take();
    this.#terms += 1;
    if (this.#terms > MAX_TERMS) throw this.#wrong(`is term ${MAX_TERMS + 1}, one too many`, at);
    if (kind !== 'word') throw this.#wrong('stands where a field is expected', at);
    if (!this.#known(field)) throw this.#wrong('is no field of a result', at);
    const sign = this.#next;
    const operator = sign.kind === 'sign' ? operatorOf(sign.text) : undefined;
    if (operator === undefined) return { kind: 'field', field };
    this.#place += 1;
    return { kind: 'compare', field, operator, value: this.#literal() };
  }

  #literal(): Literal {
    const { kind, text, at } = this.#take();
    if (kind === 'number') return Number(text);
    if (kind === 'text') return text.slice(1, -1).replaceAll(/\\(.)/gs, '$1');
    if (kind === 'word') return WORDS.has(text) ? (WORDS.get(text) ?? null) : text;
    throw this.#wrong('stands where a value is expected', at);
  }

  end(): void {
    if (this.#next.kind !== 'end') throw this.#wrong('stands where "and", "or" or the end is expected');
  }
}

const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const operatorOf = (sign: string): Operator | undefined =>
  sign === '==' ? '=' : OPERATORS.find((operator) => operator === sign);
