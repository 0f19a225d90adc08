/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. Here: reading beside a writer. */
import { BufferPool } from '@pagewright/bufferpool';
import type { PageStoreOpenRequest, StoreState } from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CheckpointReader } from '../../bufferpool/src/checkpoint-reader.js';
import { PageFile } from '../../bufferpool/src/page-file.js';
import { ReaderPins } from '../../bufferpool/src/reader-pins.js';
import { brokenBy, fileWith, onFiles } from './page-store-faulty.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the suite for page stores finds', () => {
  it('a reader that locks the file', async () => {
    class Locking extends BufferPool {
      override async open(request: PageStoreOpenRequest): Promise<StoreState> {
        const state = await super.open(request);
        if (request.readOnly) await (await request.io.open(request.path, { readOnly: true })).lock();
        return state;
      }
    }
    const ids = ['reads-beside-a-writer', 'reader-changes-nothing'];
    expect(await brokenBy(Locking, ...ids)).toEqual(ids);
  });

  it('a reader that syncs what it finds', async () => {
    const Syncing = onFiles((file) => {
      let synced = false;
      return fileWith(file, {
        read: async (buffer, offset) => {
          if (!synced) await file.sync();
          synced = true;
          await file.read(buffer, offset);
        },
      });
    });
    expect(await brokenBy(Syncing, 'reader-changes-nothing')).toEqual(['reader-changes-nothing']);
  });

  it('a writer that never looks for readers (scenario 24)', async () => {
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async (oldestNamed) => oldestNamed);
    const ids = ['keeps-what-is-read', 'reader-opens-in-between', 'readers-outlive-writers'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a writer that does not look for readers when it opens', async () => {
    const { limit } = ReaderPins.prototype;
    const opened = new WeakSet<ReaderPins>();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async function (this: ReaderPins, oldestNamed) {
      const isFirst = !opened.has(this);
      opened.add(this);
      return isFirst ? oldestNamed : limit.call(this, oldestNamed);
    });
    expect(await brokenBy(BufferPool, 'readers-outlive-writers')).toEqual(['readers-outlive-writers']);
  });

  it('a writer that goes on keeping what was read', async () => {
    const { limit } = ReaderPins.prototype;
    const lowest = new WeakMap<ReaderPins, number>();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async function (this: ReaderPins, oldestNamed) {
      const now = await limit.call(this, oldestNamed);
      if (this.count > 0) lowest.set(this, Math.min(now, lowest.get(this) ?? now));
      return lowest.get(this) ?? now;
    });
    const ids = ['keeps-what-is-read', 'dead-readers-keep-nothing'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a reader that does not read the superblocks again when it has published its pin (scenario 24)', async () => {
    const { begin } = CheckpointReader.prototype;
    vi.spyOn(CheckpointReader.prototype, 'begin').mockImplementation(async function (this: CheckpointReader) {
      const again = vi.spyOn(this, 'newer').mockResolvedValue(null);
      await begin.call(this);
      again.mockRestore();
    });
    expect(await brokenBy(BufferPool, 'reader-opens-in-between')).toEqual(['reader-opens-in-between']);
  });

  it('a reader that follows and keeps pages of before', async () => {
    class Keeping extends BufferPool {
      override follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
        return super.follow((state) => {
          moved({ ...state, epoch: state.epoch - 1 });
        });
      }
    }
    class Late extends BufferPool {
      override async follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
        const state = await super.follow(() => {});
        // Too late, and maybe when the store is closed.
        if (state !== null)
          setImmediate(() => {
            try {
              moved(state);
            } catch {}
          });
        return state;
      }
    }
    class Still extends BufferPool {
      override async follow(): Promise<StoreState | null> {
        return null;
      }
    }
    for (const Pool of [Keeping, Late, Still]) {
      expect(await brokenBy(Pool, 'follows-the-writer')).toEqual(['follows-the-writer']);
    }
  });

  it('a reader whose pin stays behind when it follows', async () => {
    vi.spyOn(CheckpointReader.prototype, 'movePin').mockResolvedValue();
    expect(await brokenBy(BufferPool, 'follows-the-writer')).toEqual(['follows-the-writer']);
  });

  it('a reader whose pin goes ahead of what it reads', async () => {
    const { movePin } = CheckpointReader.prototype;
    vi.spyOn(CheckpointReader.prototype, 'movePin').mockImplementation(function (this: CheckpointReader) {
      return movePin.call(this, 1_000_000);
    });
    expect(await brokenBy(BufferPool, 'keeps-what-is-read')).toEqual(['keeps-what-is-read']);
  });

  it('a reader that takes all that does not match for damage, and one that takes it for nothing', async () => {
    const overtaken = vi.spyOn(CheckpointReader.prototype, 'overtaken').mockReturnValue(null);
    expect(await brokenBy(BufferPool, 'overtaken-is-told')).toEqual(['overtaken-is-told']);
    overtaken.mockRestore();
    const named = vi.spyOn(CheckpointReader.prototype, 'isNamed').mockReturnValue(false);
    expect(await brokenBy(BufferPool, 'damage-is-told-from-overtaking')).toEqual(['damage-is-told-from-overtaking']);
    named.mockRestore();
    vi.spyOn(PageFile.prototype, 'verify').mockReturnValue();
    expect(await brokenBy(BufferPool, 'overtaken-is-told')).toEqual(['overtaken-is-told']);
  });

  it('a reader that takes the first superblock that does not match for damage', async () => {
    const Hasty = onFiles((file) => {
      let times = 0;
      return fileWith(file, {
        read: async (buffer, offset) => {
          // Eight times the same: as if it had looked once.
          if (offset !== 0 || times === 0) await file.read(buffer, offset);
          if (offset === 0 && times++ > 0) buffer.fill(1);
        },
      });
    });
    expect(await brokenBy(Hasty, 'reader-waits-for-superblocks')).toEqual(['reader-waits-for-superblocks']);
  });
});
