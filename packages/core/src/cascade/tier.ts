/** `drafter`: a stage whose answer may be escalated; `expert`: the last stage. */
export type Role = 'drafter' | 'expert';

export const ROLES: readonly Role[] = ['drafter', 'expert'];

/** A tier is one model in one role: its queue, its circuit breaker, its concurrency limit, its workers. */
export type Tier = { readonly role: Role; readonly model: string };

/** A tier's name, which is its queue's: `drafter.small`. A model's name holds no colon, so neither does this. */
export const tierName = (role: Role, model: string): string => `${role}.${model}`;

/** The tier of a name that `tierName` made. */
export function readTierName(name: string): Tier {
  const dot = name.indexOf('.');
  return { role: name.slice(0, dot) === 'expert' ? 'expert' : 'drafter', model: name.slice(dot + 1) };
}

/** The labels by which metrics tell tiers apart. */
export const tierLabels = (name: string): { readonly tier: string; readonly role: Role } => ({
  tier: name,
  role: readTierName(name).role,
});
