import type { Candidate } from '../engine/sampling.ts';
import type { PromptReport } from '../engine/generation.ts';
import type { Tokenizer } from '../engine/tokenizer.ts';
import type { ShownToken } from './text-assembler.ts';

interface ShownCandidate {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

function showCandidate(tokenizer: Tokenizer, candidate: Candidate): ShownCandidate {
  const bytes = tokenizer.bytesOf(candidate.token);
  return { token: tokenizer.nameOf(candidate.token), logprob: candidate.logprob, bytes: Array.from(bytes) };
}

/** A token with its log-prob, as a chat's choices and the parts of a response have it. */
export interface ShownLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly ShownCandidate[];
}

export function showLogprobs(tokenizer: Tokenizer, tokens: readonly ShownToken[]): ShownLogprob[] {
  return tokens.map(({ report, bytes }) => ({
    token: Buffer.from(bytes).toString('utf8'),
    logprob: report.logprob,
    bytes: Array.from(bytes),
    top_logprobs: report.top.map((candidate) => showCandidate(tokenizer, candidate)),
  }));
}

/** The events about a response's text leave out the bytes, which the finished part then has. */
export function omitBytes(logprobs: readonly ShownLogprob[]): object[] {
  return logprobs.map(({ token, logprob, top_logprobs: top }) => ({
    token,
    logprob,
    top_logprobs: top.map((candidate) => ({ token: candidate.token, logprob: candidate.logprob })),
  }));
}

/** A token with its log-prob in the older shape, which plain completions still have. */
export interface LegacyEntry {
  readonly token: string;
  readonly logprob: number | null;
  readonly top: readonly Candidate[];
}

export function showLegacyLogprobs(tokenizer: Tokenizer, entries: readonly LegacyEntry[], firstOffset: number): object {
  let offset = firstOffset;
  const offsets = entries.map(({ token }) => {
    const own = offset;
    offset += token.length;
    return own;
  });
  return {
    tokens: entries.map(({ token }) => token),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: entries.map(({ logprob, top }) =>
      logprob === null
        ? null
        : Object.fromEntries(top.map((candidate) => [tokenizer.nameOf(candidate.token), candidate.logprob])),
    ),
    text_offset: offsets,
  };
}

/** vLLM's `prompt_logprobs`: nothing for the first token, then for each the token itself and the likeliest, by token number. */
export function showPromptLogprobs(tokenizer: Tokenizer, reports: readonly PromptReport[]): (object | null)[] {
  const show = (token: number, logprob: number, rank: number): [string, object] => [
    String(token),
    { logprob, rank, decoded_token: tokenizer.nameOf(token) },
  ];
  return [
    null,
    ...reports.map((report) =>
      Object.fromEntries([
        show(report.token, report.logprob, report.rank),
        ...report.top.map((candidate, place) => show(candidate.token, candidate.logprob, place + 1)),
      ]),
    ),
  ];
}
