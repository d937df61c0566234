import type { FieldsPlan } from './plan.ts';
import { tokensOf } from './pointer.ts';

/** The values that are asked for, nested as in the answer. */
export type Branch = {
  readonly inner: Map<string, Branch>;
  /** The JSON pointer of what is asked for; null: only things in it are. */
  asked: string | null;
  /** The draft has nothing of it. */
  isAbsent: boolean;
};

const branch = (): Branch => ({ inner: new Map(), asked: null, isAbsent: true });

export function branchesOf({ paths, absent }: Pick<FieldsPlan, 'paths' | 'absent'>): Branch {
  const root = branch();
  const add = (path: string, isAbsent: boolean): void => {
    let at = root;
    for (const token of tokensOf(path)) {
      const next = at.inner.get(token) ?? branch();
      at.inner.set(token, next);
      at = next;
      if (!isAbsent) at.isAbsent = false;
    }
    at.asked = path;
  };
  for (const path of paths) add(path, false);
  for (const path of absent) add(path, true);
  return root;
}
