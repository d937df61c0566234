/**
 * A `custom_id` as the lines of both files have it. A client's id may hold half of a character, which no strict reader
 * takes; U+FFFD alone would make one id of two. So the half's number follows it: `a\ud83d` is written `a\ufffdd83d`, and
 * ids that differ stay so. Only an id that says just that in plain text is the same: validation compares written ids,
 * and so refuses the second of the two as a duplicate.
 */
export const writtenId = (id: string): string =>
  id.replace(/\p{Surrogate}/gu, (half) => `\ufffd${half.charCodeAt(0).toString(16)}`);
