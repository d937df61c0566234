import type { Completion, TokenLogprob } from '../../endpoints/completion.ts';
import { fieldsOf } from '../../confidence/fields.ts';
import { scoreDraft, scoreSeen, type Evidence } from '../../confidence/index.ts';
import type { Sliced } from '../../text/slices.ts';
import type { JudgeRule } from '../rules.ts';
import { ContinuedScan } from './continued-scan.ts';
import { judgeFields, type JudgedField } from './unsure.ts';

/**
 * The values of an answer to `fieldsRequest`, one for each of its scalars in their order, judged as those of a draft: they
 * have the same places in it. Null: they cannot be judged, as an answer that was cut short, or without log-probs.
 */
export function* judgeAnswered(evidence: Evidence, rule: JudgeRule): Sliced<readonly JudgedField[] | null> {
  const scored = yield* scoreDraft(evidence, rule.confidence);
  if (scored.kind === 'no_evidence' || scored.fields === null) return null;
  return judgeFields(scored.fields, rule).fields;
}

/**
 * The value that came behind `continuedText`, or all that is in it, judged by the tokens of the continuation alone; what
 * the model was given to go on with is as sure as it was. Null: it has no scalar, or no log-probs that spell it.
 */
export function* judgeContinued(
  before: string,
  { text, tokens }: Pick<Completion, 'text' | 'tokens'>,
  { path, rule }: { readonly path: string; readonly rule: JudgeRule },
): Sliced<readonly JudgedField[] | null> {
  if (text === null || tokens === null || tokens.length === 0) return null;
  const scan = new ContinuedScan(before);
  scan.push(text);
  if (scan.over !== 'value') return null;
  const spelt = Buffer.concat(tokens.map(({ bytes, token }) => Buffer.from(bytes ?? Buffer.from(token))));
  const begun = Buffer.from(before);
  const isAll = text.startsWith(before);
  const fresh = Buffer.from(isAll ? text.slice(before.length) : text);
  const given = begins(fresh, spelt) ? begun : isAll && begins(Buffer.from(text), spelt) ? Buffer.alloc(0) : null;
  if (given === null) return null;
  yield;
  const head: TokenLogprob = { token: '', bytes: [...given], logprob: 0, top: [] };
  const upTo = (isAll ? '' : before) + text.slice(0, scan.to);
  const placed = fieldsOf(upTo, given.length === 0 ? tokens : [head, ...tokens]) ?? [];
  yield;
  const isWithin = (one: string): boolean => one === path || one.startsWith(`${path}/`);
  const first = placed.findIndex((one) => isWithin(one.path));
  const rest = first === -1 ? [] : placed.slice(first);
  // Names that are there twice are of two values.
  const fields = rest.every((one) => isWithin(one.path)) ? rest : [];
  // A value that something given is a part of is not the model's own.
  if (fields.length === 0 || fields.some((one) => one.tokens.includes(head))) return null;
  const seen = { text, tokens, fields, isPartial: false, assessment: null, agreement: null };
  const scored = scoreSeen(seen, rule.confidence);
  if (scored.kind === 'no_evidence' || scored.fields === null) return null;
  return judgeFields(scored.fields, rule).fields;
}

/** Whether one is the other's beginning: of an answer that was given up text may have come before its tokens, or after. */
const begins = (left: Buffer, right: Buffer): boolean => {
  const length = Math.min(left.length, right.length);
  return left.subarray(0, length).equals(right.subarray(0, length));
};
