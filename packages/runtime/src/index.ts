export * from './configuration.ts';
export * from './env.ts';
export * from './health.ts';
export * from './heap.ts';
export * from './lifecycle.ts';
export * from './log.ts';
export * from './pause.ts';
