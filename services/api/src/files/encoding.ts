/** What a file begins with that is not text in UTF-8. UTF-32 first: its little-endian mark begins with UTF-16's. */
const MARKS: readonly (readonly [what: string, ...bytes: number[]])[] = [
  ['UTF-32', 0xff, 0xfe, 0x00, 0x00],
  ['UTF-32', 0x00, 0x00, 0xfe, 0xff],
  ['UTF-16', 0xff, 0xfe],
  ['UTF-16', 0xfe, 0xff],
  ['compressed (gzip)', 0x1f, 0x8b],
  ['compressed (zip)', 0x50, 0x4b, 0x03, 0x04],
  ['compressed (zstd)', 0x28, 0xb5, 0x2f, 0xfd],
];

/** How many bytes tell. */
export const HEAD_BYTES = 4;

/**
 * What the first bytes of a file say that it is, when that is no text in UTF-8; else null. Without a mark UTF-16 and
 * UTF-32 show by the NUL bytes of their first character, which is in ASCII where it is JSON or a name.
 */
export function foreignEncoding(head: Uint8Array): string | null {
  const marked = MARKS.find(([, ...bytes]) => bytes.every((byte, at) => head[at] === byte));
  if (marked !== undefined) return marked[0];
  const nuls = head.subarray(0, HEAD_BYTES).filter((byte) => byte === 0).length;
  return nuls === 0 ? null : nuls === 3 ? 'UTF-32' : 'UTF-16';
}
