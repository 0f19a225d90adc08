/** The native part as the tests find it: they are skipped, and say why, where it was not built or the kernel gives no ring. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { UringFiles } from '../src/index.js';

const probed = new UringFiles().probe();

/** Null where io_uring works. */
export const whyNot: string | null = probed.supported ? null : (probed.reason ?? 'it does not say why');
if (whyNot !== null) console.warn(`Tests of @pagewright/io-uring are skipped: ${whyNot}`);

/** An empty directory. */
export function emptyDirectory(): string {
  return fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'pagewright-uring-'));
}
