import { cutText } from '../text/cut.ts';
import { classOf, operatorFault, type Fault } from './failure/fault.ts';

/** Which model's call a server refused, for whoever has to mend it. */
export type Refused = {
  readonly name: string;
  readonly model: string;
  readonly baseURL: string;
  /** The models that the server says it has; null: it does not tell. */
  readonly listed: readonly string[] | null;
  readonly path: string;
};

/** An error is shown as far as it helps; it may be a page. */
const MAX_SHOWN = 200;
const MAX_LISTED = 5;

/** Whether a fault says that nobody is there, or not ready yet, and not that somebody must mend something. */
export function isAbsent(fault: Fault): boolean {
  return fault.kind !== 'garbled' && !['operator', 'request'].includes(classOf(fault));
}

/** What a server said, as text. */
export function wordsOf(fault: Fault): string {
  if (fault.kind !== 'http') return fault.message;
  return typeof fault.body === 'string' ? fault.body : (JSON.stringify(fault.body) ?? '');
}

/** Why a model cannot be asked, and what to do about it, as one line. */
export function problemOf(fault: Fault, refused: Refused | null): string {
  if (fault.kind !== 'http') return `${fault.kind}: ${shown(fault.message)}`;
  const { status } = fault;
  const said = `the server said ${status}: ${shown(wordsOf(fault))}`;
  if (refused === null) return said;
  const todo = classOf(fault) === 'operator' ? adviceOf(fault, refused) : null;
  return todo === null ? said : `${todo} (${said})`;
}

/** Whether a server refused a call because it does not know the model. */
export function isModelUnknown(fault: Fault, refused: Pick<Refused, 'model' | 'listed'>): boolean {
  return fault.kind === 'http' && fault.status === 404 && isUnknownBy(wordsOf(fault), refused);
}

function isUnknownBy(words: string, { model, listed }: Pick<Refused, 'model' | 'listed'>): boolean {
  return (listed !== null && !listed.includes(model)) || /model/i.test(words);
}

function adviceOf(fault: Extract<Fault, { kind: 'http' }>, refused: Refused): string {
  const { name, model, baseURL, listed, path } = refused;
  const { status } = fault;
  const whose = operatorFault(fault);
  if (whose === 'money') return 'the account has nothing left: top it up';
  if (whose === 'key') {
    return status === 403
      ? `the server does not let this key use the model "${model}": see models.${name}.api_key_env`
      : `the server does not take the API key: see models.${name}.api_key_env`;
  }
  if (whose === 'model' || isUnknownBy(wordsOf(fault), refused)) {
    const known = listed === null || listed.length === 0 ? '' : `, but ${listed.slice(0, MAX_LISTED).join(', ')}`;
    return `the server does not know the model "${model}"${known}: see models.${name}.model`;
  }
  const isWithV1 = /\/v\d+\w*\/?$/.test(new URL(baseURL).pathname);
  const question = isWithV1 ? 'is it the address of an OpenAI-compatible server?' : 'should it end in /v1?';
  return `models.${name}.base_url answered ${status} to ${path}: ${question}`;
}

/** In one line. */
const shown = (text: string): string => cutText(text.replaceAll(/\s+/g, ' ').trim(), MAX_SHOWN, '…');
