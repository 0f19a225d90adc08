/** Files of a simulated device with content that is easy to tell apart. */
import type { IoFile } from '@pagewright/core';
import type { SimulatedDevice } from '../src/index.js';

/** Bytes that are all the same. */
export function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

/** Creates a file with this content, synced; its name is durable, too. */
export async function opened(disk: SimulatedDevice, path: string, content: Uint8Array): Promise<IoFile> {
  const file = await disk.open(path, { create: true });
  file.writeSync(content, 0);
  file.syncSync();
  if (path.lastIndexOf('/') === '/store'.length) await disk.syncDirectory('/store');
  return file;
}
