import { fileObject, type FileObject } from '@spillway/core';
import type { Api } from '../api.ts';

export async function showFile(api: Api, tenant: string, id: string): Promise<FileObject> {
  return fileObject(await api.records.ownFile(tenant, id));
}
