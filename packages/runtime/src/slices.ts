import { readingJson, writingJson, type Json, type JsonLimits, type ReadJson, type Sliced } from '@spillway/core';
import { nextRound } from './pause.ts';

/** Does long work slice by slice, and lets everybody else have the event loop between them. What is short is done at once. */
export async function runSliced<Result>(work: Sliced<Result>): Promise<Result> {
  for (let step = work.next(); ; step = work.next()) {
    if (step.done === true) return step.value;
    await nextRound();
  }
}

/** Reads JSON from outside, however long and hostile, without holding the event loop. */
export const readJson = (text: string, limits: JsonLimits): Promise<ReadJson> => runSliced(readingJson(text, limits));

/** JSON that strict readers take, as `strictJson` writes it, without holding the event loop. */
export const writeJson = (value: Json): Promise<string> => runSliced(writingJson(value));
