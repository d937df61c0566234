/** With what the command ends, so that scripts need not read what it says. */
export const EXIT = {
  done: 0,
  /** What was asked for could not be done; one line on standard error says why, and what to do. */
  failed: 1,
  /** The command line is wrong: nothing was done. */
  usage: 2,
  /** The batch has ended, and not every document has an answer. */
  unanswered: 3,
  /** It has, and an audit found more disagreements than there may be, or a promise of the best effort was not certified. */
  inDoubt: 4,
  /** Ctrl-C: a batch that was created goes on. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
