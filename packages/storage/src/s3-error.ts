import { StorageError } from './storage-error.ts';

const WRONG_REGION = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);

/** The status of S3's answer, or null when there was none. */
export function statusOf(error: unknown): number | null {
  const metadata = error instanceof Error && '$metadata' in error ? error.$metadata : null;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return null;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : null;
}

/** How often the SDK asked until it got this answer. */
export function attemptsOf(error: unknown): number {
  const metadata = error instanceof Error && '$metadata' in error ? error.$metadata : null;
  if (typeof metadata !== 'object' || metadata === null || !('attempts' in metadata)) return 1;
  return typeof metadata.attempts === 'number' ? metadata.attempts : 1;
}

/** A missing bucket is also a 404, but no reason to call an object absent. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket';
}

/** Says what could not be done where, and what to do about it. */
export function s3Error(action: string, place: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const name = nameOf(error);
  const status = statusOf(error);
  const cannot = `Cannot ${action} ${place} (${status === null ? name : `${name}, ${status}`})`;
  if (name === 'NoSuchBucket')
    return new StorageError('bad_address', `${cannot}: create the bucket or name another in the address`, error);
  if (name === 'CredentialsProviderError') {
    return new StorageError(
      'denied',
      `${cannot}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role`,
      error,
    );
  }
  if (WRONG_REGION.has(name) || messageOf(error) === 'Region is missing') {
    return new StorageError(
      'bad_address',
      `${cannot}: put the bucket's region into the address, as in ?region=eu-west-1`,
      error,
    );
  }
  if (status === 401 || status === 403) {
    return new StorageError(
      'denied',
      `${cannot}: check the credentials, which need s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket here`,
      error,
    );
  }
  if (status === 501) {
    return new StorageError('not_create_only', `${cannot}: use an S3 that understands If-None-Match on PUT`, error);
  }
  if (status === 507 || name === 'QuotaExceeded')
    return new StorageError('full', `${cannot}: raise the quota or free some space`, error);
  if (status !== null)
    return new StorageError('unavailable', `${cannot}: ${messageOf(error) || 'see the log of the S3 server'}`, error);
  return new StorageError(
    'unavailable',
    `${cannot}: see whether the endpoint is right and answers. ${messageOf(error)}`,
    error,
  );
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.name === 'Error' ? error.message : error.name;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}
