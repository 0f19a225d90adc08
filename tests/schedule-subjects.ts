/** The default parts with as little memory as they take, as the rounds of schedules have them. */
import { BufferPool } from '@pagewright/bufferpool';
import { type IoBackend, openEngine, type PageStore, TeardownStack } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { Mvcc } from '@pagewright/mvcc';
import type { ScheduleSubject } from '@pagewright/testkit';
import { WriteAheadLog } from '@pagewright/wal';

const PAGE_SIZE = 4096;
const FRAMES = 64;

export const DEFAULT_PARTS: Required<ScheduleSubject> = {
  index: {
    openPages: async (io: IoBackend, path: string): Promise<PageStore> => {
      const pages = new BufferPool({ memory: FRAMES * PAGE_SIZE, pageSize: PAGE_SIZE });
      await pages.open({ path, io, create: true, errorIfExists: false, readOnly: false });
      return pages;
    },
    indexType: () => new BtreeType(),
  },
  engine: {
    openEngine: async (io, path, { fewVersions }) => {
      const pages = new BufferPool({ memory: FRAMES * PAGE_SIZE, pageSize: PAGE_SIZE });
      const concurrency = new Mvcc({ versionMemory: fewVersions ? 6000 : '16MiB' });
      const log = new WriteAheadLog({ segmentSize: '64KiB', bufferLimit: '16KiB' });
      const parts = { io, pages, indexes: [new BtreeType()], concurrency, log, teardown: new TeardownStack() };
      const engine = await openEngine(parts, path, { checkpoint: { logBytes: 40_000 } });
      return { engine, concurrency, pages };
    },
  },
};
