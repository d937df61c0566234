import { judgesValues, judgingStages, withThresholds } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { aimRecord, type Aim } from '../promise/index.ts';
import { issueMessage } from '../text/issue-message.ts';

/** Keys of a batch's metadata that say by which confidences drafts are final; each for all cascades, or for named ones. */
export const ACCEPT_AT_KEY = 'spillway.accept_at';
export const BUDGET_KEY = 'spillway.budget';
export const PROMISE_KEY = 'spillway.promise';

const VALUE_KEYS: readonly string[] = [ACCEPT_AT_KEY, BUDGET_KEY, PROMISE_KEY];

/** The key that names the uploaded file of labels by which an accuracy is promised. */
export const LABELS_KEY = 'spillway.labels';

export const THRESHOLD_KEYS: readonly string[] = [...VALUE_KEYS, LABELS_KEY];

/** The file of a batch's labels; null: it has none. */
export const labelsFileOf = (metadata: Readonly<Record<string, string>> | null): string | null =>
  metadata?.[LABELS_KEY] ?? null;

/** What is wrong with such a key's value. */
export type SettingProblem = { readonly kind: 'problem'; readonly key: string; readonly expected: string };

/** What a batch says of one cascade's thresholds; of all cascades where `cascade` is null. */
type Setting = { readonly key: string; readonly cascade: string | null } & (
  | { readonly kind: 'accept_at'; readonly acceptAt: readonly number[] }
  | { readonly kind: 'aim'; readonly aim: Aim }
);

export type ThresholdSettings = { readonly kind: 'settings'; readonly settings: readonly Setting[] };

const EXAMPLES: Readonly<Record<string, string>> = {
  [ACCEPT_AT_KEY]: "a number from 0 to 1, or one for each stage that judges, such as '0.9' or '0.9,0.8'",
  [BUDGET_KEY]: "the share of the documents that may go to the expert, such as 'expert_share=0.25'",
  [PROMISE_KEY]: "what to promise, such as 'agreement=0.95,certainty=0.95', or 'accuracy=0.9' with labels",
};

/**
 * Reads `spillway.accept_at`, `spillway.budget` and `spillway.promise`. A value may be for one cascade, `invoices: …`, and
 * several such stand one behind the other with `;` between them.
 */
export function readThresholdSettings(
  metadata: Readonly<Record<string, string>> | null,
): ThresholdSettings | SettingProblem {
  const settings: Setting[] = [];
  for (const key of VALUE_KEYS) {
    const text = metadata?.[key];
    if (text === undefined) continue;
    for (const part of text.split(';')) {
      const read = readPart(key, part);
      if (read.kind === 'problem') return read;
      const rival = settings.find(({ cascade }) => cascade === read.cascade);
      if (rival !== undefined) {
        const of = read.cascade === null ? 'all cascades' : `'${read.cascade}'`;
        const once = rival.key === key ? `one value for ${of}` : `either this key or '${rival.key}' for ${of}`;
        return { kind: 'problem', key, expected: once };
      }
      settings.push(read);
    }
  }
  const needsLabels = settings.some((one) => one.kind === 'aim' && one.aim.kind === 'accuracy');
  const hasLabels = labelsFileOf(metadata) !== null;
  if (needsLabels && !hasLabels) {
    const expected = `'agreement=…', or '${LABELS_KEY}' beside it with the id of a file of labels`;
    return { kind: 'problem', key: PROMISE_KEY, expected };
  }
  if (hasLabels && !needsLabels) {
    return { kind: 'problem', key: LABELS_KEY, expected: `no such key without '${PROMISE_KEY}' of an accuracy` };
  }
  return { kind: 'settings', settings };
}

function readPart(key: string, part: string): Setting | SettingProblem {
  const colon = part.indexOf(':');
  const cascade = colon === -1 ? null : part.slice(0, colon).trim();
  const value = part.slice(colon + 1).trim();
  const problem = (why = ''): SettingProblem => ({ kind: 'problem', key, expected: `${EXAMPLES[key] ?? ''}${why}` });
  if (key === ACCEPT_AT_KEY) {
    const acceptAt = value.split(',').map(numberIn);
    return acceptAt.every((one) => one !== null && one >= 0 && one <= 1)
      ? { kind: 'accept_at', key, cascade, acceptAt: acceptAt as number[] }
      : problem();
  }
  const given = pairsIn(value);
  // Which kind it is the key says.
  if (given === null || Object.hasOwn(given, 'kind')) return problem();
  const kind = key === BUDGET_KEY ? 'budget' : Object.hasOwn(given, 'accuracy') ? 'accuracy' : 'promise';
  const read = aimRecord.safeParse({ ...given, kind });
  if (!read.success) return problem(` (${read.error.issues.map(issueMessage).join('; ')})`);
  return { kind: 'aim', key, cascade, aim: read.data };
}

/** `name=value,name=value`; null for what is none. Numbers are read as such. */
function pairsIn(text: string): Record<string, number | string> | null {
  const pairs: Record<string, number | string> = {};
  for (const pair of text.split(',')) {
    const [name = '', value, ...more] = pair.split('=').map((one) => one.trim());
    if (value === undefined || more.length > 0 || !/^[a-z][a-z_]*$/.test(name) || Object.hasOwn(pairs, name))
      return null;
    pairs[name] = numberIn(value) ?? value;
  }
  return pairs;
}

const numberIn = (text: string): number | null =>
  /^\d{0,9}(?:\.\d{1,17})?$/.test(text.trim()) && text.trim() !== '' ? Number(text) : null;

const noAim = (name: string): string =>
  `no such key for '${name}', a stage of which is asked for single values and judges them: which ones depends on the thresholds`;

type Rules = Readonly<Record<string, CascadeRules>>;

/**
 * The rules of a batch with what it says of its thresholds. What it says of one cascade goes before what it says of all.
 * A shadow run decides nothing by thresholds, so that none are found for it.
 */
export function withSettings(
  rules: Rules,
  { settings }: ThresholdSettings,
): { readonly kind: 'rules'; readonly rules: Record<string, CascadeRules> } | SettingProblem {
  const unknown = settings.find(({ cascade }) => cascade !== null && !Object.hasOwn(rules, cascade));
  if (unknown !== undefined) {
    const { key, cascade } = unknown;
    return {
      kind: 'problem',
      key,
      expected: `a cascade that is configured (${Object.keys(rules).join(', ')}), not '${cascade}'`,
    };
  }
  const decided: Record<string, CascadeRules> = {};
  for (const [name, { aim: configured, ...fixed }] of Object.entries(rules)) {
    const own = settings.find(({ cascade }) => cascade === name) ?? settings.find(({ cascade }) => cascade === null);
    if (fixed.shadow) {
      if (own?.kind === 'aim') {
        return {
          kind: 'problem',
          key: own.key,
          expected: "no such key with 'spillway.shadow', which decides nothing by thresholds",
        };
      }
      decided[name] = fixed;
    } else if (own === undefined) decided[name] = configured === undefined ? fixed : { ...fixed, aim: configured };
    else if (own.kind === 'aim') {
      if (judgesValues(fixed)) return { kind: 'problem', key: own.key, expected: noAim(name) };
      decided[name] = { ...fixed, aim: own.aim };
    } else {
      const judging = judgingStages(fixed).length;
      const { acceptAt, key } = own;
      if (acceptAt.length !== 1 && acceptAt.length !== judging) {
        return {
          kind: 'problem',
          key,
          expected: `one number, or ${judging} for '${name}', in which ${judging} stages judge: put '${name}: ' before what is for it`,
        };
      }
      decided[name] = withThresholds(
        fixed,
        Array.from({ length: judging }, (_, at) => acceptAt[at] ?? acceptAt[0] ?? 0),
        'kept',
      );
    }
  }
  return { kind: 'rules', rules: decided };
}
