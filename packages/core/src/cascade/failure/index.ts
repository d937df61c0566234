export * from './blame.ts';
export * from './decision.ts';
export * from './control.ts';
export { classOf, isBrokenOff, operatorFault, operatorReason, type Fault, type FaultClass } from './fault.ts';
export * from './suspects.ts';
