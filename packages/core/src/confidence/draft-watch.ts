import { calibrated, type CalibrationMethod } from '../calibration/method.ts';
import type { TokenLogprob } from '../endpoints/completion.ts';
import type { DraftPiece } from '../endpoints/index.ts';
import { LIMITS } from '../limits.ts';
import { hasFields } from './fields.ts';
import type { ConfidenceRule } from './judge.ts';
import type { EscalationReason } from './reasons.ts';
import { ScoreBound } from './score-bound.ts';

/** Why a draft is given up before it is whole: nothing that may follow would make it final. */
export type EarlyStop = {
  readonly reason: EscalationReason;
  /** What it could have scored at most; null: it could not have been judged. */
  readonly scoreAtMost: number | null;
  /** How many tokens of it had come. */
  readonly tokens: number;
};

/** Confidences are computed in floating point: so much under the threshold is surely under it. */
const MARGIN = 1e-9;

/** A server that streams no log-probs shows so soon; what has come in one piece is as much. */
const MAX_UNSPELT_BYTES = 1024 * 1024;

type FieldWatch = { readonly acceptAt: number; readonly calibration?: CalibrationMethod | undefined };

export type DraftWatchOptions = {
  readonly confidence: ConfidenceRule;
  readonly acceptAt: number;
  /** Values that are judged by rules of their own, by JSON pointer: a calibration that is absent is the draft's. */
  readonly fields?: Readonly<Record<string, FieldWatch>> | undefined;
  /**
   * Only JSON is given up for its score: of any other text nobody knows yet that it is no thought, as a chat template may
   * begin one that ends later.
   */
  readonly onlyJson: boolean;
};

/**
 * Watches a draft as it comes, and says when no continuation of it can be accepted. A stop changes no decision: it is
 * only made where `judge` and `route` would escalate every whole draft that begins so. What it rests on is that
 * log-probs are never above 0 and that a calibration never falls, so that the bound of a score bounds the confidence.
 * Where values have rules of their own a draft is hopeless once none of all the rules can accept its least sure value:
 * the rule of that value is among them, whichever it is.
 */
export class DraftWatch {
  readonly #options: DraftWatchOptions;
  readonly #bound: ScoreBound;
  /** By any of which a value may be accepted. */
  readonly #rules: readonly { readonly calibration: CalibrationMethod | null; readonly acceptAt: number }[];
  #characters = 0;
  #tokens = 0;
  /** Whether the text begins as a JSON object or array; null as long as there are only blanks. */
  #isJson: boolean | null = null;
  /** Text that no token has spelt yet, and tokens that no text has shown yet. */
  #unspelt = Buffer.alloc(0);
  #unseen: { readonly token: TokenLogprob; readonly bytes: Buffer }[] = [];
  /** The tokens do not spell the text: how they are to be read shows the whole answer only. */
  #isUnclear = false;
  #stop: EarlyStop | null = null;

  constructor(options: DraftWatchOptions) {
    this.#options = options;
    const { confidence, acceptAt, fields = {} } = options;
    this.#bound = new ScoreBound(confidence.signal);
    const { calibration } = confidence;
    const own = Object.values(fields).map((one) => ({ ...one, calibration: one.calibration ?? calibration }));
    this.#rules = [{ calibration, acceptAt }, ...own];
  }

  /** Why the draft was given up; null: it was not. */
  get stop(): EarlyStop | null {
    return this.#stop;
  }

  /** Takes the next piece of the draft; true: it is hopeless. */
  push(piece: DraftPiece): boolean {
    this.#tokens += piece.tokens.length;
    if (piece.kind === 'tool_call' || piece.kind === 'refused') return this.#give(piece.kind, null);
    if (piece.kind !== 'text') return false;
    this.#characters += piece.text.length;
    if (this.#characters > LIMITS.judgedCharacters) return this.#give('too_large', null);
    if (this.#isUnclear) return false;
    this.#align(piece);
    const isEven = !this.#isUnclear && this.#unseen.length === 0 && this.#unspelt.length === 0;
    if (!isEven) return false;
    return this.#isHopeless() && this.#give('low_confidence', this.#bound.atMost);
  }

  /** Lays tokens over the text, byte by byte: with each other they may come in any pieces. */
  #align({ text, tokens }: Extract<DraftPiece, { kind: 'text' }>): void {
    if (this.#isJson === null && text.trim() !== '') {
      this.#isJson = hasFields(text);
      this.#bound.begin(this.#isJson);
    }
    this.#unspelt = Buffer.concat([this.#unspelt, Buffer.from(text)]);
    if (this.#unspelt.length > MAX_UNSPELT_BYTES) this.#isUnclear = true;
    for (const token of tokens)
      this.#unseen.push({ token, bytes: Buffer.from(token.bytes ?? Buffer.from(token.token)) });
    for (let next = this.#unseen[0]; next !== undefined; next = this.#unseen[0]) {
      const { token, bytes } = next;
      const shown = this.#unspelt.subarray(0, bytes.length);
      if (!shown.equals(bytes.subarray(0, shown.length))) this.#isUnclear = true;
      if (this.#isUnclear || shown.length < bytes.length) return;
      this.#bound.push(token, bytes);
      this.#unspelt = this.#unspelt.subarray(bytes.length);
      this.#unseen.shift();
    }
  }

  #isHopeless(): boolean {
    const { confidence, onlyJson } = this.#options;
    if (onlyJson && this.#isJson !== true) return false;
    const { signal } = confidence;
    return this.#rules.every(({ calibration, acceptAt }) => {
      const most = calibrated({ signal, calibration }, this.#bound.atMost);
      return most !== null && most < acceptAt - MARGIN;
    });
  }

  #give(reason: EscalationReason, scoreAtMost: number | null): boolean {
    this.#stop = { reason, scoreAtMost, tokens: this.#tokens };
    return true;
  }
}
