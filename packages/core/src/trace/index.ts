export * from './batch.ts';
export type { NamedModel } from './call.ts';
export * from './document.ts';
export * from './ids.ts';
export * from './keep.ts';
export * from './span.ts';
