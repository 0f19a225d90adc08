/** The native part as the tests find it: they are skipped, and say why, where it was not built or the kernel gives no ring. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'vitest';
import { UringFiles } from '../src/index.js';

const probed = new UringFiles().probe();

/** Tests that need io_uring. */
export function describeNative(name: string, tests: () => void): void {
  if (probed.supported) describe(name, tests);
  else test(name, ({ skip }) => skip(`io_uring: ${probed.reason}`));
}

/** An empty directory. */
export function emptyDirectory(): string {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'pagewright-uring-'));
}
