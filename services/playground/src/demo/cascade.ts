/** What the demo's cascade is called in requests. */
export const CASCADE = 'documents';

/**
 * As in the root's `spillway.yaml`, which a test compares. The prices are those of hosted models of about 4 B and
 * 200 B parameters, because the embedded ones cost nothing (and keep no prompts, so no token is charged as cached). The
 * playground answers 16 at a time: with 32 calls in flight a batch takes as long, and twice the time of a draft passes
 * in the model server instead of in the queue.
 */
export const DEMO = {
  drafter: { model: 'spillway-drafter', price: { input: 0.05, output: 0.2 }, concurrency: 16 },
  expert: { model: 'spillway-expert', price: { input: 1, cached_input: 0.25, output: 4 }, concurrency: 16 },
  acceptAt: 0.7,
  ask: 'fields',
} as const;

/** The configuration of the demo; JSON is YAML too. */
export function demoConfiguration(playgroundUrl: string): string {
  const model = (role: 'drafter' | 'expert') => ({ base_url: playgroundUrl, ...DEMO[role] });
  const configuration = {
    models: { small: model('drafter'), large: model('expert') },
    cascades: {
      [CASCADE]: {
        drafter: 'small',
        expert: 'large',
        confidence: { signal: 'sum_logprob' },
        accept_at: DEMO.acceptAt,
        ask: DEMO.ask,
      },
    },
  };
  return `${JSON.stringify(configuration, null, 2)}\n`;
}
