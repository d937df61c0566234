import { hostname } from 'node:os';

/** This process as traces name it: its machine, in a cluster its pod, and its number there. */
export const processName = (): string => `${hostname()}:${process.pid}`;

/** The machine, or pod, of a process that is named so. */
export const machineOf = (name: string): string => name.slice(0, name.lastIndexOf(':'));
