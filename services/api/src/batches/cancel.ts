import { canCancel, KEYS, liveBatch, NO_COUNTS, RECORDS, type BatchObject, type BatchStatus, type Manifest, type Outcome } from '@spillway/core';
import { close, readBatch, type Closed } from '@spillway/redis';
import { createRecord } from '@spillway/storage';
import type { Api } from '../api.ts';
import { within } from '../deadline.ts';
import { conflict, unavailable } from '../errors.ts';
import { pause } from '@spillway/runtime';
import { askRedis, recovering } from './live.ts';
import { describeBatch } from './show.ts';
