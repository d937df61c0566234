export * from './aim.ts';
export * from './document-sizes.ts';
export * from './draw.ts';
export * from './estimate.ts';
export * from './tier-time.ts';
export * from './pilot-document.ts';
