import { StorageError, type StorageErrorCode } from './storage-error.ts';

type Advice = { code: StorageErrorCode; advice: string };

const ADVICE: Readonly<Record<string, Advice>> = {
  EACCES: { code: 'denied', advice: 'give this user write permission or set SPILLWAY_DATA_DIR to another directory' },
  EPERM: { code: 'denied', advice: 'give this user write permission or set SPILLWAY_DATA_DIR to another directory' },
  EROFS: { code: 'denied', advice: 'mount it writable or set SPILLWAY_DATA_DIR to another directory' },
  ENOSPC: { code: 'full', advice: 'free some space or inodes, or set SPILLWAY_DATA_DIR to a larger disk' },
  EDQUOT: { code: 'full', advice: 'raise the quota or set SPILLWAY_DATA_DIR to another disk' },
  EFBIG: { code: 'full', advice: 'use a file system that allows files of this size' },
  EMFILE: { code: 'unavailable', advice: 'raise the limit of open files (ulimit -n)' },
  ENFILE: { code: 'unavailable', advice: "raise the system's limit of open files" },
  ENOENT: { code: 'unavailable', advice: 'its folder does not exist: create or mount it' },
  ENOTDIR: { code: 'bad_key', advice: 'a part of the path is a file: keys must not go on below an object' },
  ENAMETOOLONG: {
    code: 'bad_key',
    advice: 'the path is too long for this file system: use a shorter SPILLWAY_DATA_DIR',
  },
};

/** The file system cannot make hard links, which are what makes a create fail for whoever comes second. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Says what could not be done where, and what to do about it. */
export function directoryError(action: string, path: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const errno = errnoOf(error);
  const { code, advice } = ADVICE[errno] ?? {
    code: 'unavailable',
    advice: 'see whether the disk is healthy and mounted',
  };
  return new StorageError(code, `Cannot ${action} ${path} (${errno}): ${advice}`, error);
}

export function linkError(root: string, error: unknown): StorageError {
  const errno = errnoOf(error);
  if (NO_LINKS.has(errno)) {
    return new StorageError(
      'not_create_only',
      `${root} has no hard links (${errno}): set SPILLWAY_DATA_DIR to a local disk or NFS, or use S3`,
      error,
    );
  }
  if (errno === 'EXDEV') {
    return new StorageError(
      'bad_address',
      `${root} spans more than one file system (EXDEV): mount nothing inside it`,
      error,
    );
  }
  return directoryError('write to', root, error);
}

export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}
