import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type IoSubject, ioConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { NodeFiles } from '../src/index.js';

ioConformance(
  { describe, it },
  {
    create: (): IoSubject => ({
      backend: new NodeFiles(),
      directory: fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'pagewright-io-')),
    }),
    dispose: ({ directory }) => fs.rmSync(directory, { recursive: true, force: true }),
    capabilities: { locks: true, pins: true, sharedMemory: true },
  },
);
