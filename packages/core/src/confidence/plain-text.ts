/** Marks that surround an answer and say nothing, such as quotes and a full stop. */
const MARKS: ReadonlySet<string> = new Set(['"', "'", '`', '*', '.']);
const isMark = (character: string): boolean => MARKS.has(character) || isBlank(character);
const isBlank = (character: string): boolean => character.trim() === '';
const isDigit = (character: string | undefined): boolean =>
  character !== undefined && character >= '0' && character <= '9';

/** How answers are compared: case, white space and what surrounds a word do not matter. */
export function plainText(text: string): string {
  const begun = withoutLead(folded(text).replaceAll(/\s+/g, ' '));
  let end = begun.length;
  while (end > 0 && isMark(begun.charAt(end - 1))) end -= 1;
  return begun.slice(0, end);
}

/** What is written so far of a plain text: what comes behind it is not known yet. */
export const plainStart = (text: string): string => withoutLead(folded(text));

function withoutLead(text: string): string {
  let begin = 0;
  while (begin < text.length && isMark(text.charAt(begin))) begin += 1;
  // `.5` is not `5`.
  const isFraction = text[begin - 1] === '.' && isDigit(text[begin]);
  return text.slice(isFraction ? begin - 1 : begin);
}

/** Without the marks that may follow a word in a sentence. */
export function withoutStop(text: string): string {
  let end = text.length;
  while (end > 0 && (isMark(text.charAt(end - 1)) || ',;:!'.includes(text.charAt(end - 1)))) end -= 1;
  return text.slice(0, end);
}

/** Marks above and below a letter in a row, as one that reads them in order must hold; languages have two or three. */
const MAX_COMBINING = 30;
/** Characters that are such marks, or become some. */
const COMBINING_RUN = new RegExp(`[\\p{M}\\uFF9E\\uFF9F]{${MAX_COMBINING}}`, 'gu');

/**
 * Without case, and normalised by NFKC. Putting the marks of one letter in order takes the square of their number (80,000
 * of them: 7 s), so long runs are broken first, by the character that Unicode has for it (UAX #15, Stream-Safe Text).
 */
function folded(text: string): string {
  const broken = text.replaceAll(COMBINING_RUN, '$&\u034F');
  return (growsBeyond(broken) ? broken : broken.normalize('NFKC')).toLowerCase();
}

/** One character may become eighteen (U+FDFA); no language's texts become twice as long, and a short text may be anything. */
const MOST_GROWTH = 2;
const MEASURED_CHARACTERS = 16 * 1024;

/** Whether NFKC would make a long text so much longer that to compare it would take long; it is compared as it is then. */
function growsBeyond(text: string): boolean {
  let grown = 0;
  for (let from = 0; text.length > MEASURED_CHARACTERS && from < text.length; from += MEASURED_CHARACTERS) {
    grown += text.slice(from, from + MEASURED_CHARACTERS).normalize('NFKC').length;
    if (grown > MOST_GROWTH * text.length) return true;
  }
  return false;
}
