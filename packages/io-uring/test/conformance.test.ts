import fs from 'node:fs';
import { type IoSubject, ioConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { UringFiles, type UringFilesOptions } from '../src/index.js';
import { describeNative, emptyDirectory } from './native.js';

const VARIANTS: readonly UringFilesOptions[] = [
  {},
  { depth: 16, registerBuffers: true }, // nearly every batch has to wait for room
  { direct: true },
  { direct: 'writes' },
  { kernelThreadIdleMs: 20 },
];

for (const options of VARIANTS) {
  describeNative(`with ${JSON.stringify(options)}`, () => {
    ioConformance(
      { describe, it },
      {
        create: (): IoSubject => ({ backend: new UringFiles(options), directory: emptyDirectory() }),
        dispose: ({ directory }) => fs.rmSync(directory, { recursive: true, force: true }),
        capabilities: { locks: true, pins: true, sharedMemory: true, largeFiles: true, writeBack: true },
      },
    );
  });
}
