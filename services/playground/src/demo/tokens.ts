import type { PricedTokens } from '@spillway/core';

export const NO_TOKENS: PricedTokens = { inputTokens: 0, cachedTokens: 0, outputTokens: 0 };

export const addTokens = (left: PricedTokens, right: PricedTokens): PricedTokens => ({
  inputTokens: left.inputTokens + right.inputTokens,
  cachedTokens: left.cachedTokens + right.cachedTokens,
  outputTokens: left.outputTokens + right.outputTokens,
});
