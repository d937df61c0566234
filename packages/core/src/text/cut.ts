/**
 * The beginning of a text, at most so many UTF-16 units of it, and `mark` where something is left out. The one place
 * where text is cut: never between the two halves of a character, as half of one is no text that can be written.
 */
export function cutText(text: string, most: number, mark = ''): string {
  if (text.length <= most) return text;
  const isInside = isHigh(text.charCodeAt(most - 1)) && isLow(text.charCodeAt(most));
  return `${text.slice(0, isInside ? most - 1 : most)}${mark}`;
}

const isHigh = (unit: number): boolean => unit >= 0xd8_00 && unit <= 0xdb_ff;
const isLow = (unit: number): boolean => unit >= 0xdc_00 && unit <= 0xdf_ff;
