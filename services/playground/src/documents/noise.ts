import type { Random } from './random.ts';

/** What a scanner takes a digit for. Each letter stands for one digit only, so that the number can still be read. */
const DIGIT_CONFUSIONS: Readonly<Record<string, readonly string[]>> = {
  '0': ['O', 'o'],
  '1': ['l', 'I'],
  '2': ['Z'],
  '5': ['S'],
  '8': ['B'],
  '9': ['g'],
};

const LETTER_CONFUSIONS: Readonly<Record<string, string>> = {
  a: 'o',
  c: 'e',
  e: 'c',
  g: 'q',
  h: 'b',
  i: 'l',
  l: '1',
  n: 'u',
  o: '0',
  r: 'n',
  s: '5',
  t: 'f',
  u: 'v',
  B: '8',
  O: '0',
  S: '5',
};

function smudgeCharacter(random: Random, character: string, strength: number): string {
  if (character >= '0' && character <= '9') {
    const confusions = DIGIT_CONFUSIONS[character];
    return confusions !== undefined && random.chance(strength) ? random.pick(confusions) : character;
  }
  if (!/\p{L}/u.test(character)) return character === ' ' && random.chance(strength / 3) ? '  ' : character;
  if (!random.chance(strength)) return character;
  const kind = random.next();
  if (kind < 0.2) return '';
  if (kind < 0.3) return `${character} `;
  if (kind < 0.45) return character.toUpperCase();
  return LETTER_CONFUSIONS[character] ?? '.';
}

/**
 * Damages text as a bad scan does. Digits only turn into letters that stand for nothing else, because a document whose
 * total nobody could read has no truth; `strength` is the share of characters that are hit.
 */
export function smudge(random: Random, text: string, strength: number): string {
  if (strength <= 0) return text;
  let smudged = '';
  for (const character of text) smudged += smudgeCharacter(random, character, strength);
  return smudged;
}
