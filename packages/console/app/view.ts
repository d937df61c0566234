import type { TemplateResult } from 'lit-html';
import type { Api } from './api.ts';

/** What a view works with. */
export type Surroundings = {
  readonly api: Api;
  /** Something is to be shown otherwise. */
  readonly update: () => void;
  /** Aborted when another view takes its place. */
  readonly signal: AbortSignal;
};

/** What fills the page below its head. */
export type View = {
  readonly title: string;
  render(): TemplateResult;
};
