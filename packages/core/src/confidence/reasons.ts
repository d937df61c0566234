/** Why a document went on to the next stage. */
export const ESCALATION_REASONS = [
  { reason: 'low_confidence', meaning: 'The confidence is below the threshold.' },
  { reason: 'no_logprobs', meaning: 'The drafter gave no usable log-probs with its answer.' },
  {
    reason: 'partial_logprobs',
    meaning: 'The log-probs do not cover the answer: tokens are missing before, in or behind it.',
  },
  {
    reason: 'zero_logprobs',
    meaning:
      'Log-probs are exactly 0 for all tokens, or for several in a row without alternatives, so they were not computed.',
  },
  {
    reason: 'no_alternatives',
    meaning: 'The signal needs the alternatives of each token (`top_logprobs`), and there are none.',
  },
  { reason: 'no_label', meaning: 'The draft is none of the answers that the `label` signal allows.' },
  { reason: 'no_assessment', meaning: 'The drafter did not say in a readable way whether its draft is right.' },
  { reason: 'no_samples', meaning: 'The further samples that `agreement` compares could not be had.' },
  { reason: 'tool_call', meaning: 'The drafter answered with a tool call, which carries no log-probs.' },
  {
    reason: 'truncated',
    meaning: 'The draft is not whole: it stopped at its length limit, or for a reason that does not say that it is.',
  },
  {
    reason: 'unclosed_thought',
    meaning: 'The draft is a thought that never ends (`<think>`, a harmony channel), without an answer after it.',
  },
  { reason: 'content_filter', meaning: 'A content filter stopped the draft.' },
  { reason: 'refused', meaning: 'The drafter refused to answer.' },
  { reason: 'invalid_json', meaning: 'JSON was asked for and the draft is not JSON, or visibly misses its schema.' },
  {
    reason: 'too_large',
    meaning:
      'The draft has more levels (128), values (100,000), characters (a million) or log-probs (250,000) than are judged.',
  },
  { reason: 'empty_answer', meaning: 'The draft has no text.' },
  { reason: 'several_choices', meaning: 'More than one answer was asked for, and only one can be judged.' },
  { reason: 'draft_failed', meaning: 'The drafter failed every attempt that the document had.' },
  {
    reason: 'drafter_rejected',
    meaning: 'The drafter refused the request as invalid (a 4xx), such as a text too long for it.',
  },
  {
    reason: 'shadow_run',
    meaning: 'The batch is a shadow run (`spillway.shadow`): every stage answers every document, to calibrate by it.',
  },
  {
    reason: 'sampled',
    meaning:
      'The document is of the sample by which the batch finds its thresholds (`spillway.promise`): every stage answers it.',
  },
  {
    reason: 'not_certified',
    meaning:
      'The batch could not be promised what it asks for: all of it goes to the expert, and no drafter was asked.',
  },
  {
    reason: 'too_long',
    meaning: 'The request is surely longer than the `context_tokens` of the drafter: it was not asked.',
  },
  {
    reason: 'needs_image',
    meaning: 'The request holds images, and the drafter is declared `images: false`: it was not asked.',
  },
  {
    reason: 'needs_tools',
    meaning: 'The request offers tools, and the drafter is declared `tools: false`: it was not asked.',
  },
  {
    reason: 'promise_at_risk',
    meaning:
      'The audit of the batch alarmed, and its cascade says `on_alarm: tighten`: no more drafts are accepted, nor asked for.',
  },
] as const;

export type EscalationReason = (typeof ESCALATION_REASONS)[number]['reason'];
