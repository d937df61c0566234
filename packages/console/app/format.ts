import { dollars, range, seconds } from '@spillway/core/amounts';

type Range = { readonly low: number; readonly high: number };

export const dollarRange = ({ low, high }: Range): string => range(dollars(low), dollars(high));

export const timeRange = ({ low, high }: Range): string => range(seconds(low), seconds(high));

/** `in 3 h`, `5 min ago`. */
export function fromNow(unixSeconds: number, nowMs: number): string {
  const away = unixSeconds - nowMs / 1000;
  return away >= 0 ? `in ${seconds(away)}` : `${seconds(-away)} ago`;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

export const dateTime = (unixSeconds: number): string => DATE.format(unixSeconds * 1000);

/** A share with one digit behind the point where it says something. */
export const share = (value: number): string => `${Number((100 * value).toFixed(value < 0.1 ? 1 : 0))} %`;

export const milliseconds = (value: number | null): string =>
  value === null
    ? '–'
    : value < 1_000
      ? `${Math.round(value)} ms`
      : value < 10_000
        ? `${(value / 1_000).toFixed(1)} s`
        : seconds(value / 1_000);
