export * from './cut.ts';
export * from './digest.ts';
export * from './error-envelope.ts';
export * from './json.ts';
export * from './json-line.ts';
export * from './lines.ts';
export * from './list.ts';
export * from './nearest.ts';
