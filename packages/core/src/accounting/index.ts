export * from './cap.ts';
export * from './counts.ts';
export * from './price.ts';
export * from './reasons.ts';
export * from './report.ts';
export * from './sketch.ts';
export * from './spent.ts';
export * from './waits.ts';
