/** What part of a file is asked for. `end` is the byte behind the last. */
export type Part =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' };

/** Reads a `Range` header. Several ranges at once, or what is no range of bytes, mean the whole, as HTTP allows. */
export function readRange(header: string | undefined, size: number): Part {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(header?.trim() ?? '');
  const [, from = '', to = ''] = match ?? [];
  if (from === '' && to === '') return { kind: 'whole' };
  if (from === '') {
    const start = Math.max(size - Number(to), 0);
    return start < size ? { kind: 'part', start, end: size } : { kind: 'unsatisfiable' };
  }
  const start = Number(from);
  if (to !== '' && Number(to) < start) return { kind: 'whole' };
  const end = to === '' ? size : Math.min(Number(to) + 1, size);
  return start < size ? { kind: 'part', start, end } : { kind: 'unsatisfiable' };
}
