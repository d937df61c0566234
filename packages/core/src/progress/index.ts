export * from './at-risk.ts';
export { addNote, nextNoteAtMs, noteOf, readNotes, stagesIn, writeNotes, type ProgressNote } from './notes.ts';
export { NO_PROGRESS, progressInTheEnd, progressOf, type ShownProgress } from './progress.ts';
export type { Expected } from './time-left.ts';
