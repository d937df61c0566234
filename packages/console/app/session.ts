/** The key lives as long as the tab does, and in no other place. */
const KEY = 'spillway.key';

export const storedKey = (): string | null => sessionStorage.getItem(KEY);

export function storeKey(key: string | null): void {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}
