import type { Scaling } from '@spillway/core';
import type { Service } from './service.ts';

type ShownSignal = Scaling & { readonly error?: { readonly message: string } };

/** The scaling signal as an autoscaler asks for it, on the health port. */
export async function signal(api: Service, tier: string): Promise<{ status: number; body: ShownSignal }> {
  const { healthPort } = await api.ready();
  const response = await fetch(`http://127.0.0.1:${String(healthPort)}/internal/scaling/${tier}`);
  return { status: response.status, body: (await response.json()) as ShownSignal };
}
