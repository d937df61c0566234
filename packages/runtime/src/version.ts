import own from '../package.json' with { type: 'json' };

/** Which Spillway this is; all packages have one version. */
export const VERSION: string = own.version;
