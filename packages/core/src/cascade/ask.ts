/** The ways in which a stage may ask its model; each is a file of packages/cascade/src/ask. */
export const ASK_KINDS = ['answer', 'verify', 'fields', 'verdict'] as const;

export type AskKind = (typeof ASK_KINDS)[number];

/** How a stage asks that does not say how. */
export const DEFAULT_ASK: AskKind = 'answer';

/** Why a stage asked for the whole answer though its rules say otherwise. */
export const ASK_REASONS = [
  { reason: 'no_draft', meaning: 'No stage before left a draft that is text: each was skipped, refused, or failed.' },
  {
    reason: 'request_sampled',
    meaning: 'The answer is drawn at a temperature above 0, or at the server’s own: there is no one answer to compare.',
  },
  {
    reason: 'request_unsuited',
    meaning:
      'The request asks for what cannot be joined: several answers, tools, audio, log-probs, penalties, a logit bias, ' +
      'an answer that it has begun itself or holds to a grammar, a prompt of tokens, or `/v1/responses`; or, to be ' +
      'verified, a schema that says more than is looked at. To a verdict only the prompt matters.',
  },
  {
    reason: 'draft_unfit',
    meaning:
      'The draft cannot be final as it is: it was cut short or given up, or is not the JSON, or none of the labels, ' +
      'that are asked for. One to be verified need only begin as what is asked for, and with no white space.',
  },
  { reason: 'model_reasons', meaning: 'The model thinks before it answers, and the draft shows no such thought.' },
  { reason: 'not_scored', meaning: 'The server does not say how likely a given answer is, or was not checked yet.' },
  { reason: 'not_continued', meaning: 'The server does not go on with a given answer.' },
  {
    reason: 'no_log_probs',
    meaning: 'The server gives no log-probs, so that nobody knows how sure its verdict is, or its values are.',
  },
  { reason: 'request_too_long', meaning: 'Request and draft are longer than what is scored (200,000 characters).' },
  {
    reason: 'shadow_run',
    meaning:
      'The batch is a shadow run, or the document is of its sample: drafts are compared with what the expert says by itself.',
  },
  { reason: 'answer_streamed', meaning: 'The answer is streamed to its client as it is written.' },
  {
    reason: 'failed_before',
    meaning: 'A call about this document failed in this stage: it is asked plainly from then on.',
  },
  {
    reason: 'drafts_paused',
    meaning: 'Calls that make use of drafts failed one after the other: for a while none is made.',
  },
  { reason: 'scoring_failed', meaning: 'The call that scores the draft failed, or what it brought cannot be read.' },
  { reason: 'verdict_paused', meaning: 'Verdicts failed one after the other: for a while none is asked for.' },
  { reason: 'verdict_failed', meaning: 'The call for the verdict failed, or what it brought says neither yes nor no.' },
  { reason: 'nothing_kept', meaning: 'So little of the draft was kept that going on from it would prove nothing.' },
  { reason: 'not_joined', meaning: 'What was kept and what came after it do not make one answer for sure.' },
  {
    reason: 'values_not_judged',
    meaning: 'The values of the draft were not judged one by one: it is no JSON object, or was not judged at all.',
  },
  {
    reason: 'all_unsure',
    meaning: 'All values of the draft are unsure, or more of them than are asked for by themselves (16).',
  },
  {
    reason: 'not_splittable',
    meaning: 'What is unsure cannot be asked for by itself, as the schema lets the rest depend on it; or nothing is.',
  },
  {
    reason: 'values_failed',
    meaning: 'The call for the values failed, or what it brought does not fit into the draft for sure.',
  },
] as const;

export type AskReason = (typeof ASK_REASONS)[number]['reason'];

/** What the whole answer would have taken of the same model, as far as it can be known. */
export type Instead = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Null: nobody knows yet how fast the model writes. */
  readonly ms: number | null;
};

/** How a stage came to its answer where it was not just asked for it. */
export type HowAsked =
  | { readonly kind: 'answer'; readonly reason: AskReason }
  | {
      readonly kind: 'verify';
      /** Of the draft, in UTF-16 units; and whether that was all of it. */
      readonly keptCharacters: number;
      readonly isWhole: boolean;
      readonly instead: Instead;
    }
  | {
      readonly kind: 'fields';
      /** The values that were asked for, by JSON pointer; all others are the draft's. */
      readonly asked: readonly string[];
      /** A call was given up once its value was there: what it took is estimated. */
      readonly isEstimated: boolean;
      readonly instead: Instead;
    }
  | ({ readonly kind: 'verdict'; readonly instead: Instead } & Verdict);

/** What a stage's model said of a draft: whether it is right. */
export type Verdict = {
  /** Of the draft, from 0. */
  readonly stage: number;
  /** P(True) as the model said it, and the confidence that it stands for. */
  readonly score: number;
  readonly confidence: number;
};
