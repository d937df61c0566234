import type { Configuration, WebhookEvent } from '@spillway/core';
import type { EnvReader } from '@spillway/runtime';

/** A receiver of events about batches. */
export type WebhookTarget = {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  readonly events: readonly WebhookEvent[];
  /** Null: those of every tenant. */
  readonly tenants: readonly string[] | null;
};

/** The targets of the configuration, with their secrets; one that is not set is a problem. */
export function webhookTargets(reader: EnvReader, configuration: Configuration): WebhookTarget[] {
  return Object.entries(configuration.webhooks).map(([name, spec]) => {
    const secret = reader.text(spec.secret_env);
    if (secret === null) {
      reader.problem(`${spec.secret_env}: expected the secret of the webhook ${name} (webhooks.${name}.secret_env)`);
    }
    return { name, url: spec.url, secret: secret ?? '', events: spec.events, tenants: spec.tenants ?? null };
  });
}
