import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type IoSubject, ioConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { byAddon, byAddonDirect, byAddonDirectWrites, byNode } from './subjects.js';

for (const tested of [byNode, byAddon, byAddonDirect, byAddonDirectWrites]) {
  describe(`by ${tested.name}`, () => {
    if (tested.left !== undefined) {
      it('the conformance suite', ({ skip }) => skip(tested.left));
      return;
    }
    ioConformance(
      { describe, it },
      {
        create: (): IoSubject => ({
          backend: tested.make(),
          directory: fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'pagewright-io-')),
        }),
        dispose: ({ directory }) => fs.rmSync(directory, { recursive: true, force: true }),
        capabilities: {
          locks: true,
          pins: true,
          sharedMemory: true,
          largeFiles: true,
          writeBack: tested !== byNode && process.platform === 'linux',
        },
      },
    );
  });
}
