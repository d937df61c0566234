import { modelFindings, resultLine } from '@spillway/core';
import { z } from 'zod';
import { batchAccount } from './account.ts';
import { endpoint, metadata } from './parts.ts';

/** Unix seconds. */
const time = z.int();
const count = z.int().min(0);

export const fileObject = z
  .strictObject({
    id: z.string(),
    object: z.literal('file'),
    bytes: count,
    created_at: time,
    expires_at: time.nullable(),
    filename: z.string(),
    purpose: z.enum(['batch', 'batch_output']),
    status: z.literal('processed'),
    status_details: z.null(),
  })
  .meta({ id: 'File', description: 'An uploaded file, or the output or error file of a batch.' });

export const deletedFile = z
  .strictObject({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
  .meta({ id: 'DeletedFile' });

const usage = z.strictObject({
  input_tokens: count,
  input_tokens_details: z.strictObject({ cached_tokens: count }),
  output_tokens: count,
  output_tokens_details: z.strictObject({ reasoning_tokens: count }),
  total_tokens: count,
});

const lineError = z.strictObject({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: count.nullable(),
});

export const lineErrors = z.strictObject({ object: z.literal('list'), data: z.array(lineError).readonly() });

export const batchObject = z
  .strictObject({
    id: z.string(),
    object: z.literal('batch'),
    endpoint,
    model: z.string().nullable(),
    errors: lineErrors.nullable(),
    input_file_id: z.string(),
    completion_window: z.string(),
    status: z.enum([
      'validating',
      'failed',
      'in_progress',
      'finalizing',
      'completed',
      'expired',
      'cancelling',
      'cancelled',
    ]),
    output_file_id: z.string().nullable(),
    error_file_id: z.string().nullable(),
    created_at: time,
    in_progress_at: time.nullable(),
    expires_at: time,
    finalizing_at: time.nullable(),
    completed_at: time.nullable(),
    failed_at: time.nullable(),
    expired_at: time.nullable(),
    cancelling_at: time.nullable(),
    cancelled_at: time.nullable(),
    request_counts: z.strictObject({ total: count, completed: count, failed: count }),
    usage,
    metadata: metadata.nullable(),
    spillway: batchAccount,
  })
  .meta({ id: 'Batch', description: 'A batch. Fields that are not set yet are null, never absent.' });

const price = z
  .strictObject({
    input: z.number(),
    cached_input: z.number().meta({ description: 'Of input tokens that the server had in its cache.' }),
    output: z.number(),
  })
  .meta({ id: 'Price', description: 'US dollars per million tokens.' });

const stage = z
  .strictObject({
    name: z.string().meta({ description: 'The model by its name in the configuration.' }),
    model: z.string().meta({ description: 'The model as its server knows it.' }),
    server: z
      .string()
      .meta({ description: 'Its model server: 12 hex digits of its address, by which calibrations name it.' }),
    role: z
      .enum(['drafter', 'expert'])
      .meta({ description: 'The last stage is the expert, all before it are drafters.' }),
    ask: z.string().meta({ description: 'How the model is asked.' }),
    price: price.nullable().meta({ description: 'Null where none is configured.' }),
    signal: z
      .looseObject({ name: z.string() })
      .nullable()
      .meta({ description: 'What a draft is judged by, with its parameters; null for a stage that judges none.' }),
    calibration: z
      .string()
      .nullable()
      .meta({ description: 'The method of the calibration; null where there is none.' }),
    accept_at: z
      .number()
      .nullable()
      .meta({ description: 'The confidence at or above which a draft is final; null for a stage that judges none.' }),
  })
  .meta({ id: 'ModelStage', description: 'One step of a cascade.' });

/** The operator sees all of it, in the log and in the terminal. */
const shownFindings = modelFindings
  .omit({ said: true })
  .extend({
    problem: z
      .enum(['not_reachable', 'model_unknown', 'refused'])
      .nullable()
      .meta({ description: 'Why the model cannot be asked; null: it can.' }),
  })
  .meta({ id: 'ModelFindings', description: 'What the check of a model found; null where it is not known.' });

const server = z
  .strictObject({
    name: stage.shape.name,
    role: stage.shape.role,
    checked_at: time.nullable().meta({ description: 'When a worker checked it last; null: nothing is known yet.' }),
    found: shownFindings.nullable(),
  })
  .meta({ id: 'ModelServer', description: "What a stage's model server was found to be able to do." });

export const modelObject = z
  .strictObject({
    id: z.string(),
    object: z.literal('model'),
    created: time,
    owned_by: z.literal('spillway'),
    cascade: z.strictObject({ stages: z.array(stage) }),
    spillway: z.strictObject({ servers: z.array(server) }),
  })
  .meta({ id: 'Model', description: 'A cascade that requests may name as their model: its stages, in order.' });

export const modelList = z.strictObject({ object: z.literal('list'), data: z.array(modelObject) });

/** A page of a list; the last id is what `after` takes for the next one. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({
    object: z.literal('list'),
    data: z.array(item),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

export const errorEnvelope = z
  .strictObject({
    error: z.strictObject({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
    }),
  })
  .meta({ id: 'Error', description: 'The body of every error; all four keys are always there.' });

export const resultsPage = z
  .strictObject({
    object: z.literal('list'),
    data: z.array(resultLine).meta({ description: 'Lines as they stand in the output and error files.' }),
    cursor: z.string().meta({ description: 'What `after` takes to go on from here.' }),
    has_more: z.boolean().meta({ description: 'More lines are there already.' }),
    complete: z.boolean().meta({ description: 'The batch has ended and this was its last line.' }),
  })
  .meta({ id: 'Results' });
