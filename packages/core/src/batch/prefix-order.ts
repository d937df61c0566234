import type { Json, JsonObject } from '../text/json.ts';

/** Prompts are compared by so many characters at a time: some 128 tokens, eight blocks of vLLM's prefix cache. */
const PIECE_CHARACTERS = 512;

/** No more of a prompt is looked at: some 64,000 tokens. */
const MAX_PREFIX_CHARACTERS = 512 * PIECE_CHARACTERS;

/**
 * So much that was not read before stands between the first prompt with a prefix and the second: some 16,000 tokens. What
 * a server reads in one go, 2,000 to 8,000 tokens, it reads without knowing what it has of it by then; and what any cache
 * holds is more.
 */
const AHEAD_CHARACTERS = 128 * PIECE_CHARACTERS;

/**
 * At most this part of a page's distinct text is what differs between prompts that begin alike. With more of it a prefix
 * that comes in every page would be further from itself than before, which a cache of just that size would not hold.
 */
const MAX_TAIL_SHARE = 0.2;

/** A request of a page to a cascade. */
type PageRequest = { readonly request: { readonly cascade: string; readonly body: JsonObject } };

/** A request with the beginning of its prompt, and how much of that the one before it has, too. */
type Prompt<Placed> = { readonly placed: Placed; readonly at: number; readonly text: string; shared: number };

/**
 * Requests in the order in which a server's prefix cache serves them best. Where a long prefix comes again only after so
 * many others that a cache may have lost it, as with many questions to each of many documents, prompts that begin alike
 * come one after the other; the first of them comes somewhat earlier, as a server that reads several prompts at once would
 * read the prefix once for each. Any other page keeps its order: short prefixes, or few, are held as they come.
 */
export function byPrefix<Placed extends PageRequest>(requests: readonly Placed[]): readonly Placed[] {
  const prompts = requests.map((placed, at) => ({ placed, at, text: promptOf(placed), shared: 0 }));
  const groups = groupsOf(sortByPrefix(prompts, 0));
  return isWorthwhile(groups) ? firstsAhead(groups).map(({ placed }) => placed) : requests;
}

/** Prompts that are alike up to a character, by what follows. Each piece of a text is looked at only while it is shared. */
function sortByPrefix<Placed>(prompts: readonly Prompt<Placed>[], from: number): readonly Prompt<Placed>[] {
  for (const prompt of prompts.slice(1)) prompt.shared = from;
  const until = from + PIECE_CHARACTERS;
  const [first] = prompts;
  if (first === undefined || prompts.length < 2 || until > MAX_PREFIX_CHARACTERS) return prompts;
  const pieceOf = ({ text }: Prompt<Placed>): string => text.slice(from, until);
  // To compare is four times as fast as to find in a map, and nearly always so it goes on.
  const piece = pieceOf(first);
  const areAlike = piece.length === PIECE_CHARACTERS && prompts.every((one) => pieceOf(one) === piece);
  if (areAlike) return sortByPrefix(prompts, until);
  const groups = Map.groupBy(prompts, (one) => (one.text.length < until ? one : pieceOf(one)));
  if (groups.size === prompts.length) return prompts;
  return [...groups.values()].flatMap((own) => sortByPrefix(own, until));
}

/** Runs of prompts of which each has most of its text from the one before. */
function groupsOf<Placed>(sorted: readonly Prompt<Placed>[]): Prompt<Placed>[][] {
  const groups: Prompt<Placed>[][] = [];
  for (const prompt of sorted) {
    if (prompt.shared * 2 >= prompt.text.length) groups.at(-1)?.push(prompt);
    else groups.push([prompt]);
  }
  return groups;
}

/** What a server has to read of a prompt behind the one before it. */
const unread = <Placed>({ text, shared }: Prompt<Placed>): number => text.length - shared;

const sumOf = <Placed>(prompts: readonly Prompt<Placed>[]): number =>
  prompts.reduce((sum, one) => sum + unread(one), 0);

function isWorthwhile<Placed>(groups: readonly (readonly Prompt<Placed>[])[]): boolean {
  const firsts = sumOf(groups.flatMap((own) => own.slice(0, 1)));
  const others = groups.flatMap((own) => own.slice(1));
  const tails = sumOf(others);
  const apart = groups.flatMap((own) => own.filter(({ at }, index) => index > 0 && own[index - 1]?.at !== at - 1));
  const isApart = apart.length * 2 > others.length;
  return isApart && firsts > AHEAD_CHARACTERS && tails <= (firsts + tails) * MAX_TAIL_SHARE;
}

/** The groups one after the other, but each one's first prompt so far before its second. */
function firstsAhead<Placed>(groups: readonly (readonly Prompt<Placed>[])[]): Prompt<Placed>[] {
  const order: Prompt<Placed>[] = [];
  let read = 0;
  const put = (prompt: Prompt<Placed>): void => {
    order.push(prompt);
    read += unread(prompt);
  };
  const begun: number[] = [];
  for (const [at, [, ...others]] of groups.entries()) {
    const isNear = (): boolean => begun.length <= at || read - (begun[at] ?? 0) < AHEAD_CHARACTERS;
    while (begun.length < groups.length && isNear()) {
      const first = groups[begun.length]?.[0];
      if (first !== undefined) put(first);
      begun.push(read);
    }
    for (const other of others) put(other);
  }
  return order;
}

/**
 * The beginning of what a model reads of a request, in the order in which most servers put it into a prompt. A stage's own
 * `system` text is the same for all documents of a cascade. Without recursion: requests may be nested deep.
 */
function promptOf({ request: { cascade, body } }: PageRequest): string {
  const { tools, functions, instructions, messages, prompt, input } = body;
  const stack: (Json | undefined)[] = [messages ?? prompt ?? input, instructions, functions, tools];
  let text = cascade;
  while (stack.length > 0 && text.length < MAX_PREFIX_CHARACTERS) {
    const value = stack.pop();
    // Cut, as to look into a text that was put together makes a copy of all of it.
    if (typeof value === 'string') text += value.slice(0, MAX_PREFIX_CHARACTERS);
    else if (typeof value === 'number') text += ` ${value}`;
    else if (typeof value === 'object' && value !== null) {
      for (const inner of Object.values<Json>(value as JsonObject).toReversed()) stack.push(inner);
    }
  }
  return text;
}
