/** The characters that JSON is held together by; in UTF-8 they are bytes, and part of no other character. */
export const JSON_CODES = {
  quote: 0x22,
  backslash: 0x5c,
  comma: 0x2c,
  colon: 0x3a,
  openObject: 0x7b,
  openArray: 0x5b,
  closeObject: 0x7d,
  closeArray: 0x5d,
} as const;

/** What may stand between values. */
export const isJsonBlank = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
