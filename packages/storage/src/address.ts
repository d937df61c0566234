import { fileURLToPath } from 'node:url';

import { SetupError } from '@spillway/runtime';
import { openDirectory } from './directory.ts';
import { checkFormat } from './format.ts';
import type { S3Place } from './s3.ts';
import { StorageError } from './storage-error.ts';
import type { Storage } from './storage.ts';
import { UnprovedStorage } from './unproved.ts';

const FORMS =
  'file:///absolute/directory or s3://bucket/prefix?endpoint=http://host:9000&region=us-east-1&path_style=true&anonymous=true (all parameters optional)';
const PARAMETERS = ['endpoint', 'region', 'path_style', 'anonymous'];

/** Opens the storage at an address. Throws a StorageError that says what was expected. */
export async function openStorage(address: string): Promise<Storage> {
  const url = URL.parse(address);
  if (url?.protocol === 'file:') return openDirectory(directoryOf(url, address));
  if (url?.protocol === 's3:') {
    const place = s3PlaceOf(url, address);
    // The S3 client takes 0.2 s to load, which a directory's users need not wait for.
    const { openS3 } = await import('./s3.ts');
    return openS3(place);
  }
  throw badAddress(address, `expected ${FORMS}`);
}

/**
 * Opens the storage at an address for a service: proves that it keeps what it is given and that this version of Spillway
 * wrote it. What is wrong with it is said as something for an operator to mend. A full one is opened all the same: it is
 * read, files are deleted from it, and once there is room it is proved before the first write.
 */
export async function openProvedStorage(address: string): Promise<Storage> {
  let storage: Storage | null = null;
  try {
    storage = await openStorage(address);
    const isProved = await proveIfRoom(storage);
    await checkFormat(storage, shownPlace(address));
    return isProved ? storage : new UnprovedStorage(storage);
  } catch (error) {
    await storage?.[Symbol.asyncDispose]();
    if (error instanceof StorageError) throw new SetupError(error.message, { cause: error });
    throw error;
  }
}

/** False: there is no room for the proof. */
async function proveIfRoom(storage: Storage): Promise<boolean> {
  try {
    await storage.prove();
    return true;
  } catch (error) {
    if (error instanceof StorageError && error.code === 'full') return false;
    throw error;
  }
}

/** Where an address that was understood points to, without its parameters. */
function shownPlace(address: string): string {
  return address.startsWith('file:') ? fileURLToPath(address) : address.replace(/\?.*$/s, '');
}

function directoryOf(url: URL, address: string): string {
  if (url.host !== '')
    throw badAddress(address, 'expected an absolute path with three slashes: file:///absolute/directory');
  if (url.search !== '' || url.hash !== '')
    throw badAddress(address, 'a directory takes no parameters: file:///absolute/directory');
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw badAddress(address, 'expected file:///absolute/directory', error);
  }
}

function s3PlaceOf(url: URL, address: string): S3Place {
  if (url.username !== '' || url.password !== '') {
    throw badAddress(
      address,
      'credentials do not belong in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
    );
  }
  if ([...url.searchParams.keys()].some((name) => !PARAMETERS.includes(name)))
    throw badAddress(address, `expected only ${PARAMETERS.join(', ')} after "?"`);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(url.host))
    throw badAddress(address, `expected a bucket name after s3://, as in ${FORMS}`);
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (!/^[A-Za-z0-9!_.*'()/-]{0,256}$/.test(prefix))
    throw badAddress(address, 'expected a prefix of letters, digits, / and -_.');
  const endpoint = url.searchParams.get('endpoint');
  const server = URL.parse(endpoint ?? 'https://amazonaws.com');
  if ((server?.protocol !== 'http:' && server?.protocol !== 'https:') || server.username + server.password !== '')
    throw badAddress(address, 'endpoint: expected http://host:port or https://host, without credentials');
  return {
    bucket: url.host,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint,
    region: url.searchParams.get('region'),
    pathStyle: flagOf(url, 'path_style', address),
    anonymous: flagOf(url, 'anonymous', address),
  };
}

function flagOf(url: URL, name: string, address: string): boolean {
  const value = url.searchParams.get(name) ?? 'false';
  if (value !== 'true' && value !== 'false') throw badAddress(address, `${name}: expected true or false`);
  return value === 'true';
}

/** Shows no more of it than where it points: what stands before an @ or after a ? may be a secret in the wrong place. */
function badAddress(address: string, problem: string, cause?: unknown): StorageError {
  const shown = address.replace(/\?.*$/s, '?…').replace(/\/\/.*@/s, '//');
  return new StorageError('bad_address', `Bad storage address ${JSON.stringify(shown)}: ${problem}`, cause);
}
