import { fileObject, type FileObject } from '@spillway/core';
import type { Records } from '@spillway/storage';
import { ownFile } from '../ownership.ts';

export async function showFile(records: Records, tenant: string, id: string): Promise<FileObject> {
  return fileObject(await ownFile(records, tenant, id));
}
