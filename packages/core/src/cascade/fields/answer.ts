import type { Sliced } from '../../text/slices.ts';
import { branchesOf, type Branch } from './branches.ts';
import { readObject, type NoObject, type Place } from './places.ts';
import type { FieldsPlan } from './plan.ts';
import type { JudgedField } from './unsure.ts';

/** What came for one of the values that were asked for. */
export type AnsweredField = {
  /** As it was written. */
  readonly json: string;
  /** How its scalars were judged, in their order; null: they were not, as those of a last stage's answer. */
  readonly fields: readonly Pick<JudgedField, 'confidence' | 'isSure'>[] | null;
};

/** By the JSON pointers of a plan; what it names as absent may be missing. */
export type FieldAnswers = ReadonlyMap<string, AnsweredField>;

/** Why an answer's values cannot be put into the draft. */
export type MisfitReason =
  | NoObject['reason']
  | 'not_judged'
  /** A value that was asked for did not come. */
  | 'left_out'
  /** Something else came beside it, or in its place. */
  | 'not_asked';

export type Misfit = { readonly kind: 'whole'; readonly reason: MisfitReason };

/**
 * The values of an answer to `fieldsRequest`: a JSON object that has all that were asked for in their places, and nothing
 * else. `fields`: how its scalars were judged, in their order; null: they were not.
 */
export function* readFieldAnswer(
  text: string,
  plan: FieldsPlan,
  fields: readonly JudgedField[] | null,
): Sliced<{ readonly kind: 'answers'; readonly answers: FieldAnswers } | Misfit> {
  const answer = yield* readObject(text);
  if (answer.kind === 'whole') return answer;
  if (fields !== null && fields.length !== answer.scalars.length) return { kind: 'whole', reason: 'not_judged' };
  const answers = new Map<string, AnsweredField>();
  const take = (path: string, { from, to, firstScalar, scalarsEnd }: Place): void => {
    answers.set(path, { json: text.slice(from, to), fields: fields?.slice(firstScalar, scalarsEnd) ?? null });
  };
  if (!takeAsked(answer.root, branchesOf(plan), take)) return { kind: 'whole', reason: 'not_asked' };
  if (plan.paths.some((path) => !answers.has(path))) return { kind: 'whole', reason: 'left_out' };
  return { kind: 'answers', answers };
}

/** Takes what was asked for out of an object; false: it has something else, too. As deep as the names of a plan. */
function takeAsked(object: Place, { inner }: Branch, take: (path: string, place: Place) => void): boolean {
  for (const [name, place] of object.members ?? []) {
    const asked = inner.get(name);
    if (asked === undefined) return false;
    if (asked.asked !== null) take(asked.asked, place);
    else if (place.kind !== 'object' || !takeAsked(place, asked, take)) return false;
  }
  return true;
}
