import { addUsage, NO_USAGE, type Usage } from '@spillway/core';
import type { Asked } from './asked.ts';

const isNothing = (usage: Usage): boolean => Object.values(usage).every((tokens) => tokens === 0);

/** What came of an attempt, with what calls of it, or of attempts before it that came to nothing, took. */
export function withSpent<One extends Asked>(asked: One, spent: Usage | undefined): One {
  if (spent === undefined || isNothing(spent)) return asked;
  switch (asked.kind) {
    case 'answered':
      return { ...asked, answer: { ...asked.answer, usage: addUsage(spent, asked.answer.usage) } };
    case 'confirmed':
      return { ...asked, usage: addUsage(spent, asked.usage) };
    case 'rejected':
    case 'exhausted': {
      const { answer } = asked;
      const paid = answer === null ? null : { ...answer, usage: addUsage(spent, answer.usage) };
      return { ...asked, answer: paid, spent: addUsage(spent, asked.spent ?? NO_USAGE) };
    }
    case 'hold':
    case 'unproven':
      return { ...asked, spent: addUsage(spent, asked.spent ?? NO_USAGE) };
    case 'stopped':
      return asked;
  }
}
