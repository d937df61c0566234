import type { EngineSpec } from './engine.ts';

/** vLLM's own defaults: `block_size` 16, `max_num_batched_tokens` 2048 (docs.vllm.ai, SchedulerConfig). */
const VLLM = { blockTokens: 16, stepTokens: 2048 };

/**
 * Model servers as others measured them. A step's three parts were chosen so that one simulation of the published run
 * comes out as published, to within a sixth (`published.test.ts` holds them to it):
 *
 * - Llama 3.1 8B on one H100: 6.48 ms a token alone and 6.59 ms for four (vLLM 0.21, yobitelcomm.github.io/bench, recipe
 *   "concurrency sweep"); 8,088 tokens/s and 25.57 ms a token for 5,000 requests of ShareGPT at a batch of 256 (vLLM
 *   0.6.0, github.com/LambdaLabsML/vllm-benchmark, benchmark_v0.md).
 * - Llama 3.1 70B on four H100: 3,543 tokens/s and 61.10 ms a token for the same requests (same table).
 *
 * Reading prompts: 2 floating point operations a weight and token, at half of an H100's 989 dense BF16 TFLOPS (NVIDIA's
 * data sheet; a half is what prefill reaches from a few hundred tokens a step on, Sarathi, arXiv 2308.16369). The 70B's
 * step: 141 GB of weights over four times 3.35 TB/s at three quarters of the bandwidth, which is what decoding alone was
 * measured to reach (77 %, johnmusgrave.com, "vLLM throughput-latency sweep on NVIDIA A100").
 *
 * The cache's size: what 80 GB leave beside the weights, at 128 KiB (8B) and 320 KiB (70B) a token of keys and values.
 */
export const PUBLISHED = {
  'llama-8b-h100': { ...VLLM, stepMs: 6.4, decodeMs: 0.05, prefillMs: 0.033, maxBatch: 256, cacheBlocks: 26_000 },
  'llama-70b-4xh100': { ...VLLM, stepMs: 14, decodeMs: 0.11, prefillMs: 0.079, maxBatch: 256, cacheBlocks: 28_000 },
} as const satisfies Record<string, EngineSpec>;

export type PublishedName = keyof typeof PUBLISHED;

export const isPublished = (name: string): name is PublishedName => Object.hasOwn(PUBLISHED, name);
