type Model = {
  readonly base_url?: string;
  /** As its server calls it. */
  readonly model?: string;
  readonly api_key_env?: string;
  readonly concurrency?: number;
  readonly max_attempts?: number;
  readonly price?: { readonly input: number; readonly cached_input?: number; readonly output: number };
  readonly request?: { readonly default?: object; readonly override?: object };
  readonly rename?: Readonly<Record<string, string>>;
  readonly drop?: readonly string[];
  readonly context_tokens?: number;
  readonly sidecar?: boolean;
  readonly timeout_s?: number;
  readonly send_priority?: 'low_first' | 'high_first';
  readonly scaling?: { readonly drain_s?: number; readonly cold_start_s?: number; readonly max_replicas?: number };
};

/** What a test says of a system's configuration. */
export type YamlOptions = {
  readonly models?: { readonly small?: Model; readonly medium?: Model; readonly large?: Model };
  readonly onDeadline?: 'error' | 'draft';
  /** Drafts of the cascade `test`, which has two stages then, come whole whatever they say. */
  readonly stopEarly?: false;
  /** The last stage of the cascade `test`, which has three then, verifies the drafts of documents at temperature 0. */
  readonly verifies?: true;
  /** Lines of YAML below `models:` and below `cascades:`, for cascades beside `test`. */
  readonly moreModels?: string;
  readonly moreCascades?: string;
  /** Lines of YAML at the end. */
  readonly more?: string;
};

/** Where the model servers of a system are; without a `medium` the cascade `test` has two stages. */
type ModelUrls = { readonly small: string; readonly medium: string | null; readonly large: string };

/** The configuration of a system: its cascade is `test`. */
export function yamlOf(options: YamlOptions, urls: ModelUrls): string {
  const model = (name: string, baseURL: string | null, spec: Model = {}): string => {
    const fields = { base_url: baseURL, model: name, timeout_s: 10, price: { input: 1, output: 2 }, ...spec };
    return baseURL === null ? '' : `  ${name}: ${JSON.stringify(fields)}`;
  };
  const { models = {}, onDeadline = 'error' } = options;
  const stages =
    urls.medium === null
      ? `drafter: small, expert: large, accept_at: 0.8${options.stopEarly === false ? ', stop_early: false' : ''}`
      : `stages: [{ model: small, accept_at: 0.8 }, { model: medium, accept_at: 0.8 }, { model: large${options.verifies === true ? ', ask: verify' : ''} }]`;
  return `models:
${model('small', urls.small, models.small)}
${model('medium', urls.medium, models.medium)}
${model('large', urls.large, models.large)}
${options.moreModels ?? ''}
cascades:
  test: { ${stages}, on_deadline: ${onDeadline} }
${options.moreCascades ?? ''}
${options.more ?? ''}
`;
}
