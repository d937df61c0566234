import {
  headFeatures,
  runAtOnce,
  scoreSeen,
  seeDraft,
  type Completion,
  type SignalSpec,
  type TokenLogprob,
} from '@spillway/core';
import {
  ANSWER_TOKENS,
  generateDocument,
  isCorrect,
  type Split,
} from '../../../services/playground/src/documents/index.ts';
import { Batcher } from '../../../services/playground/src/engine/batcher.ts';
import { loadDecoder } from '../../../services/playground/src/engine/decoder.ts';
import {
  ASSISTANT,
  encodeTurns,
  loadTokenizer,
  type Tokenizer,
} from '../../../services/playground/src/engine/tokenizer.ts';
import type { BenchRow, BenchSignals } from './rows.ts';

const WEIGHTS = new URL('../../../services/playground/weights/', import.meta.url);
const ROWS = 16;
const TOP = 5;
const SAMPLES = 5;
const TEMPERATURE = 0.7;

export const EMBEDDED_SIGNALS: BenchSignals = {
  mean_logprob: { name: 'mean_logprob' },
  sum_logprob: { name: 'sum_logprob' },
  min_logprob: { name: 'min_logprob' },
  quantile_logprob: { name: 'quantile_logprob', alpha: 0.1 },
  'margin (mean)': { name: 'margin', over: 'mean' },
  margin: { name: 'margin', over: 'min' },
  entropy: { name: 'entropy' },
  agreement: { name: 'agreement', samples: SAMPLES, temperature: TEMPERATURE },
};

type Asked = { readonly temperature: number; readonly choices: number; readonly topLogprobs: number };

/** The embedded pair's answers to documents of a split, with every signal that its server can give. */
export async function embeddedRows(split: Split, count: number): Promise<BenchRow[]> {
  const tokenizer = loadTokenizer(new URL('tokenizer.json', WEIGHTS));
  const documents = Array.from({ length: count }, (_, seed) => generateDocument(seed, { split }));
  const texts = documents.map(({ text }) => text);
  const drafts = await answers('drafter', tokenizer, texts, { temperature: 0, choices: 1, topLogprobs: TOP });
  const samples = await answers('drafter', tokenizer, texts, {
    temperature: TEMPERATURE,
    choices: SAMPLES - 1,
    topLogprobs: 0,
  });
  const finals = await answers('expert', tokenizer, texts, { temperature: 0, choices: 1, topLogprobs: 0 });
  return documents.map(({ truth }, at) => {
    const draft = drafts[at]?.[0] ?? completionOf('', []);
    const said = draft.text ?? '';
    return {
      ...judged(draft, samples[at] ?? []),
      drafterRight: isCorrect(said, truth),
      expertRight: isCorrect(finals[at]?.[0]?.text ?? '', truth),
    };
  });
}

/** A document as both models answer it at temperature 0: what each says, and the draft's scores. */
export type PairedAnswer = {
  readonly draft: string;
  readonly final: string;
  readonly scores: BenchRow['scores'];
};

/** The embedded pair's answers to the first `count` documents of a split, compared as agreement is. */
export async function embeddedAnswers(split: Split, count: number): Promise<PairedAnswer[]> {
  const tokenizer = loadTokenizer(new URL('tokenizer.json', WEIGHTS));
  const texts = Array.from({ length: count }, (_, seed) => generateDocument(seed, { split }).text);
  const asked = { temperature: 0, choices: 1 };
  const drafts = await answers('drafter', tokenizer, texts, { ...asked, topLogprobs: TOP });
  const finals = await answers('expert', tokenizer, texts, { ...asked, topLogprobs: 0 });
  return texts.map((_, at) => {
    const draft = drafts[at]?.[0] ?? completionOf('', []);
    return { draft: draft.text ?? '', final: finals[at]?.[0]?.text ?? '', scores: judged(draft, []).scores };
  });
}

function judged(completion: Completion, samples: readonly Completion[]): Pick<BenchRow, 'scores' | 'features'> {
  const evidence = { completion, endpoint: '/v1/chat/completions', request: {}, samples } as const;
  const seen = runAtOnce(seeDraft(evidence));
  const score = (signal: SignalSpec): number | null => {
    const scored = seen.kind === 'seen' ? scoreSeen(seen.draft, { signal, calibration: null }) : seen;
    return scored.kind === 'scored' ? scored.score : null;
  };
  const scores = Object.fromEntries(Object.entries(EMBEDDED_SIGNALS).map(([name, signal]) => [name, score(signal)]));
  if (seen.kind !== 'seen' || scores['mean_logprob'] === null) return { scores, features: null };
  return { scores, features: headFeatures(seen.draft.fields, seen.draft.tokens) };
}

/** What a model says to each text, `choices` times. */
async function answers(
  model: string,
  tokenizer: Tokenizer,
  texts: readonly string[],
  asked: Asked,
): Promise<Completion[][]> {
  const decoder = await loadDecoder(WEIGHTS, model);
  const batcher = new Batcher(decoder, tokenizer, ROWS);
  const said = texts.map((): Completion[] => []);
  for (const [at, text] of texts.entries()) {
    const prompt = [...encodeTurns(tokenizer, [{ role: 'user', content: text }]), ASSISTANT];
    const tokens = Array.from({ length: asked.choices }, (): { id: number; shown: TokenLogprob }[] => []);
    const nameOf = (id: number): string => tokenizer.decode([id]);
    const request = {
      prompt,
      ...asked,
      maxTokens: ANSWER_TOKENS,
      topP: 1,
      seed: String(at),
      stops: [],
      promptLogprobs: undefined,
    };
    batcher.add(at, request, (events) => {
      for (const event of events) {
        if (event.kind === 'token') {
          const { token, logprob, top } = event.report;
          const shown = {
            token: nameOf(token),
            bytes: null,
            logprob,
            top: top.map((one) => ({ token: nameOf(one.token), logprob: one.logprob })),
          };
          tokens[event.choice]?.push({ id: token, shown });
        }
        if (event.kind !== 'finish') continue;
        const own = tokens[event.choice] ?? [];
        const whole = tokenizer.decode(own.map(({ id }) => id));
        said[at]?.push(
          completionOf(
            whole,
            own.map(({ shown }) => shown),
            event.reason,
          ),
        );
      }
    });
  }
  await batcher.work();
  await decoder.release();
  return said;
}

const completionOf = (text: string, tokens: readonly TokenLogprob[], finishReason = 'stop'): Completion => ({
  text,
  finishReason,
  refusal: null,
  toolCall: false,
  tokens,
  choices: 1,
  model: null,
  id: null,
  usage: { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 },
});
