import { LIMITS, type JsonLimits } from '@spillway/core';

/** How deep and how wide a server's answer, or an event of one, may be. */
export const ANSWER_LIMITS: JsonLimits = { depth: LIMITS.answerDepth, values: LIMITS.answerValues };
