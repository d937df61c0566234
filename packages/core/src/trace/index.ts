export * from './batch.ts';
export * from './document.ts';
export * from './ids.ts';
export * from './keep.ts';
export * from './span.ts';
