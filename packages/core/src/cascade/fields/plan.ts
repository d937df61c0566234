import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import { isJsonObject, type JsonObject } from '../../text/json.ts';
import type { Sliced } from '../../text/slices.ts';
import { readObject, type NoObject, type Place, type ReadObject } from './places.ts';
import { escapeToken, MAX_PATH_CHARACTERS } from './pointer.ts';
import { areMovable, isSplittable, memberSchema, requiredBy } from './schema.ts';
import type { JudgedField } from './unsure.ts';

/**
 * As many as a result line names, so that it says of each value asked for whom it came from. What is saved is tokens that
 * are not written again; by continuation each value is a call of its own, which reads the whole request again.
 */
export const MAX_FIELDS_ASKED = 16;

/** Why all of an answer is asked for again. */
export type WholeReason =
  | NoObject['reason']
  /** There is not one score for each scalar: the signal has none, or there are too many for it. */
  | 'not_judged'
  | 'none_unsure'
  | 'all_unsure'
  | 'too_many_unsure'
  | 'long_names'
  /** The schema lets what is unsure decide about other members of the outermost object. */
  | 'dependent'
  /** The outermost object may have other members than the schema lists. */
  | 'unlisted_name'
  | 'misses_schema'
  /** The schema of a value names others that cannot be taken along. */
  | 'reference';

export type Whole = { readonly kind: 'whole'; readonly reason: WholeReason };

/** What the next stage is asked for; JSON, so that a job can carry it. */
export type FieldsPlan = {
  readonly kind: 'fields';
  /** The values to be replaced, by JSON pointer, in the order of the draft: scalars, and whole arrays and objects. */
  readonly paths: readonly string[];
  /** What the schema allows and the draft left out, in its objects that stay: to be put in if the answer has it. */
  readonly absent: readonly string[];
};

/** What was drafted and asked for. */
export type DraftedFields = {
  readonly text: string;
  /** One for each scalar of the text, in its order. */
  readonly fields: readonly Pick<JudgedField, 'isSure'>[];
  readonly endpoint: EndpointUrl;
  /** The request as the client sent it. */
  readonly request: JsonObject;
};

const whole = (reason: WholeReason): Whole => ({ kind: 'whole', reason });

/**
 * Which values of a draft the next stage is asked for, or why for all of it. A value can be asked for by itself where it
 * is reached through objects whose members the schema lists and does not let depend on each other. Else what is asked for
 * is the smallest thing around it that can: the outermost array (its length and order are the doubt), or the outermost
 * object that is a choice, depends on its members or has names of the draft's own; and where that is the whole, the whole.
 */
export function* planFields({ text, fields, endpoint, request }: DraftedFields): Sliced<FieldsPlan | Whole> {
  const draft = yield* readObject(text);
  if (draft.kind === 'whole') return draft;
  if (fields.length !== draft.scalars.length || fields.length === 0) return whole('not_judged');
  const unsure = draft.scalars.filter((_, at) => fields[at]?.isSure !== true);
  if (unsure.length === 0) return whole('none_unsure');
  if (unsure.length === fields.length) return whole('all_unsure');
  yield;
  const schema = ENDPOINTS[endpoint].format(request)?.schema;
  const splitter = new Splitter(draft, isJsonObject(schema) ? schema : null);
  // Nothing was scored of what is empty; it is asked for along with what is.
  return splitter.plan([...unsure, ...draft.empty]);
}

/** What is asked for, and why nothing smaller is. */
type Unit = { readonly place: Place; readonly reason: WholeReason };

/** How a member of an object of the draft can be asked for. */
type Split =
  | { readonly kind: 'member'; readonly schema: JsonObject | null }
  /** Not by itself: the object is, or one around it. */
  | { readonly kind: 'object'; readonly unit: Unit };

class Splitter {
  readonly #draft: ReadObject;
  readonly #schema: JsonObject | null;
  readonly #splits = new Map<Place, Split>();

  /** Without a schema the names are those of the draft, and no value decides about another. */
  constructor(draft: ReadObject, schema: JsonObject | null) {
    this.#draft = draft;
    this.#schema = schema;
  }

  plan(wanted: readonly Place[]): FieldsPlan | Whole {
    const { root, scalars } = this.#draft;
    const units = new Set<Place>();
    for (const place of wanted) {
      const unit = this.#unitOf(place);
      if (unit.place === root) return whole(unit.reason);
      units.add(unit.place);
    }
    const asked = [...units].filter(({ parent }) => !isWithin(parent, units));
    const replaced = asked.reduce((sum, { firstScalar, scalarsEnd }) => sum + scalarsEnd - firstScalar, 0);
    if (replaced === scalars.length) return whole('all_unsure');
    const absent = this.#absent(units);
    if (absent === null) return whole('misses_schema');
    if (asked.length + absent.length > MAX_FIELDS_ASKED) return whole('too_many_unsure');
    const plan: FieldsPlan = {
      kind: 'fields',
      paths: asked.toSorted((left, right) => left.from - right.from).map(({ path }) => path),
      absent: absent.map(({ path }) => path),
    };
    if ([...plan.paths, ...plan.absent].some(({ length }) => length > MAX_PATH_CHARACTERS)) return whole('long_names');
    const schemas = [...asked.map((place) => this.#schemaOf(place)), ...absent.map(({ schema }) => schema)];
    return areMovable(schemas, this.#schema) ? plan : whole('reference');
  }

  /** The smallest thing that can be asked for, and that holds a place. */
  #unitOf(wanted: Place): Unit {
    const place = wanted.array ?? wanted;
    const { parent } = place;
    // The text is an object, and so what is in no other is that one.
    if (parent === null) return { place, reason: 'all_unsure' };
    const split = this.#splitOf(parent);
    if (split.kind === 'object') return split.unit;
    return isListed(split.schema, place.name) ? { place, reason: 'dependent' } : unlistedIn(parent);
  }

  #splitOf(object: Place): Split {
    const known = this.#splits.get(object);
    if (known !== undefined) return known;
    const split = this.#split(object);
    this.#splits.set(object, split);
    return split;
  }

  /** What is around an object is looked at first, so that the outermost thing counts. As deep as JSON may be nested. */
  #split(object: Place): Split {
    if (this.#schema === null) return { kind: 'member', schema: null };
    const { parent } = object;
    const outer = parent === null ? null : this.#splitOf(parent);
    if (outer?.kind === 'object') return outer;
    if (parent !== null && !isListed(outer?.schema ?? null, object.name))
      return { kind: 'object', unit: unlistedIn(parent) };
    const schema = outer === null ? this.#schema : memberSchema(outer.schema ?? undefined, object.name);
    // What takes anything says nothing of names either.
    if (schema === true) return { kind: 'object', unit: unlistedIn(object) };
    if (!isSplittable(schema)) return { kind: 'object', unit: { place: object, reason: 'dependent' } };
    return { kind: 'member', schema };
  }

  #schemaOf({ parent, name }: Place): JsonObject | undefined {
    const split = parent === null ? null : this.#splitOf(parent);
    const own = split?.kind === 'member' ? memberSchema(split.schema ?? undefined, name) : undefined;
    return isJsonObject(own) ? own : undefined;
  }

  /** What objects that stay have left out, of more than may be asked for the first ones; null: something required. */
  #absent(units: ReadonlySet<Place>): readonly Absent[] | null {
    const absent: Absent[] = [];
    for (const object of this.#draft.objects) {
      const split = this.#splitOf(object);
      if (split.kind === 'object' || split.schema === null || isWithin(object, units)) continue;
      const required = requiredBy(split.schema);
      const properties = isJsonObject(split.schema['properties']) ? split.schema['properties'] : {};
      for (const [name, schema] of Object.entries(properties)) {
        if (object.members?.has(name) === true || schema === false) continue;
        if (required.has(name)) return null;
        absent.push({
          path: `${object.path}/${escapeToken(name)}`,
          schema: isJsonObject(schema) ? schema : undefined,
        });
        if (absent.length > MAX_FIELDS_ASKED) return absent;
      }
    }
    return absent;
  }
}

/** A member that a schema lists and the draft left out. */
type Absent = { readonly path: string; readonly schema: JsonObject | undefined };

const isListed = (schema: JsonObject | null, name: string): boolean =>
  schema === null || memberSchema(schema, name) !== undefined;

/** The names of an object that its schema does not list are the draft's own, and as much in doubt as the values. */
const unlistedIn = (object: Place): Unit => ({ place: object, reason: 'unlisted_name' });

/** Whether a place is one of these, or within one. */
function isWithin(place: Place | null, places: ReadonlySet<Place>): boolean {
  for (let at = place; at !== null; at = at.parent) if (places.has(at)) return true;
  return false;
}
