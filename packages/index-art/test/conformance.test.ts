/** The radix tree keeps the contract of an index, on a hostile store and on the buffer pool with hardly any memory. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BufferPool } from '@pagewright/bufferpool';
import { NodeFiles } from '@pagewright/io-posix';
import { indexConformance, type ReopenableStore } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { ArtType } from '../src/index.js';

/** A store in a new directory. */
function smallPool(): ReopenableStore {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-art-'));
  return {
    async open() {
      const pool = new BufferPool({ memory: 96 * 4096, pageSize: 4096 });
      const file = path.join(directory, 'pages.pw');
      await pool.open({ path: file, io: new NodeFiles(), create: true, errorIfExists: false, readOnly: false });
      return pool;
    },
    dispose() {
      fs.rmSync(directory, { recursive: true, force: true });
    },
  };
}

indexConformance(
  { describe, it },
  // Another seed each time; a clause that breaks names it.
  { type: new ArtType(), store: smallPool, seed: Math.floor(Math.random() * 1e9) },
  { pages: true, check: true, shrinks: true, prefetches: true, loads: true, counts: true, estimates: true },
);
