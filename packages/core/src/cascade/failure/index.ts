export * from './blame.ts';
export * from './decision.ts';
export * from './control.ts';
export { classOf, operatorFault, operatorReason, type Fault, type FaultClass } from './fault.ts';
export * from './suspects.ts';
