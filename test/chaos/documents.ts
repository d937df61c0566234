import type { Dice } from './dice.ts';
import type { Wish } from './wishes.ts';

/** The three stages of the cascade, in order; each has a model, and each model a server of its own. */
export const MODELS = ['small', 'medium', 'large'] as const;
export type ModelName = (typeof MODELS)[number];

/** What the servers' directives call them. */
const ROLE_OF: Readonly<Record<ModelName, string>> = { small: 'drafter', medium: 'middle', large: 'expert' };

const UNSURE_SMALL = '[[drafter unsure]]';
const UNSURE = `${UNSURE_SMALL} [[middle unsure]]`;

/** Marks a document whose every call takes the last stage's server down. */
const DEADLY = '{deadly}';
/** Marks one that the first stage answers with JSON that is nested too deep to be judged. */
const DEEP = '{deep}';

type KindSpec = {
  /** Who may answer it in the end; nobody: it belongs into the error file. */
  readonly stages: readonly ModelName[];
  /** What its prompt tells the servers. */
  readonly directives: string;
  /** Whether its own answers may use up attempts of it. */
  readonly mayCharge: boolean;
  /** How often it comes beside the others; 0: only where a schedule puts it. */
  readonly weight: number;
};

/** What can be wrong with a document. */
export const DOCUMENT_KINDS = {
  small: { stages: ['small'], directives: '', mayCharge: false, weight: 600 },
  medium: { stages: ['medium'], directives: UNSURE_SMALL, mayCharge: false, weight: 200 },
  large: { stages: ['large'], directives: UNSURE, mayCharge: false, weight: 200 },
  /** Its first call fails, while others are answered. */
  flaky_small: { stages: ['small'], directives: '[[drafter status 500 x1]]', mayCharge: true, weight: 4 },
  flaky_large: { stages: ['large'], directives: `${UNSURE} [[expert garbage x1]]`, mayCharge: true, weight: 4 },
  /** Its first answer goes on for a gigabyte; a draft is given up once it is longer than what is judged. */
  endless_small: { stages: ['small', 'medium'], directives: '[[drafter endless x1]]', mayCharge: true, weight: 1 },
  endless_large: { stages: ['large'], directives: `${UNSURE} [[expert endless x1]]`, mayCharge: true, weight: 1 },
  /** Its first call has its connection cut in mid-answer. */
  cut_medium: { stages: ['medium'], directives: `${UNSURE_SMALL} [[middle cut x1]]`, mayCharge: true, weight: 2 },
  deep_small: { stages: ['small', 'medium'], directives: DEEP, mayCharge: false, weight: 1 },
  /** The drafter refuses it, the next stage answers it. */
  refused_small: { stages: ['medium'], directives: '[[drafter status 400]]', mayCharge: false, weight: 3 },
  /** Every call of it is refused by the last stage: one line in the error file. */
  rejected: { stages: [], directives: `${UNSURE} [[expert status 400]]`, mayCharge: false, weight: 4 },
  /** Every call of it fails at the last stage: the same, after all its attempts. */
  failing: { stages: [], directives: `${UNSURE} [[expert status 500]]`, mayCharge: true, weight: 1 },
  deadly: { stages: [], directives: `${UNSURE} ${DEADLY}`, mayCharge: true, weight: 0 },
} as const satisfies Readonly<Record<string, KindSpec>>;

export type DocumentKind = keyof typeof DOCUMENT_KINDS;

const WEIGHTS = Object.fromEntries(
  Object.entries(DOCUMENT_KINDS).map(([kind, { weight }]) => [kind, weight]),
) as Record<DocumentKind, number>;

/** Those that nothing is wrong with, by how often they come beside each other. */
export const INNOCENT: readonly DocumentKind[] = ['small', 'small', 'small', 'medium', 'large'];

/** The kinds of a batch's documents; of a calm batch only such as nothing is wrong with. */
export function kindsOf(dice: Dice, count: number, isCalm: boolean): DocumentKind[] {
  return Array.from({ length: count }, () => (isCalm ? dice.pick(INNOCENT) : dice.weighted(WEIGHTS)));
}

/** The prompt of a document: its name, by which its answer is known, and what the model servers are to do. */
export const promptOfDocument = (name: string, kind: DocumentKind): string =>
  `<${name}> ${DOCUMENT_KINDS[kind].directives}`.trimEnd();

/** Whose prompt it is; null for calls that are no document's. */
export const nameIn = (prompt: string): string | null => /^<([^>]+)>/.exec(prompt)?.[1] ?? null;

/** The wits of a judge end long before: 20 kB of arrays in objects. */
const DEEP_JSON = `${'{"a":[1,'.repeat(2_000)}0${']}'.repeat(2_000)}`;

/**
 * What a model says to a document, whenever it is asked; all begin alike, so that a draft can be gone on with. Of a batch
 * that wants a promise all say the same, so that there is something to promise.
 */
export function answerOf(model: ModelName, name: string, directives: string): string {
  if (model === 'small' && directives.includes(DEEP)) return DEEP_JSON;
  return `What is asked of ${name} is answered by ${isAgreed(name) ? 'all of them' : model}.`;
}

/** The name of a batch's document, by which its answer is known. */
export const documentName = (prefix: string, wish: Wish, batch: number, document: number): string =>
  `${prefix}${wish === 'promise' ? 'p' : 'b'}${batch}-${document}`;

const isAgreed = (name: string): boolean => /p\d+-\d+$/.test(name);

/** Every second document asks for the likeliest answer, so that its draft may be verified. */
export const temperatureOf = (at: number): { readonly temperature?: 0 } => (at % 2 === 0 ? { temperature: 0 } : {});

/** Whether a call takes the server down that gets it. */
export const isDeadly = (model: ModelName, prompt: string): boolean => model === 'large' && prompt.includes(DEADLY);

export const roleOf = (model: ModelName): string => ROLE_OF[model];
