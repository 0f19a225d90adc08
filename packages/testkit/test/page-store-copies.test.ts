/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. Here: backups and compaction. */
import { BufferPool } from '@pagewright/bufferpool';
import type { BackupProgress, BackupRequest, BackupResult, CompactRequest, CompactResult } from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BackupSpace } from '../../bufferpool/src/backup-space.js';
import { Checkpointer } from '../../bufferpool/src/checkpointer.js';
import { Epochs } from '../../bufferpool/src/epochs.js';
import { FileSpace } from '../../bufferpool/src/file-space.js';
import { PageFile } from '../../bufferpool/src/page-file.js';
import { ReaderPins } from '../../bufferpool/src/reader-pins.js';
import { decodeSlot, encodeSuperblock, SLOT_SIZE, type Superblock } from '../../bufferpool/src/superblock.js';
import { FANOUT, PageTree } from '../src/index.js';
import { brokenBy, copyingThrough, fileWith, type PoolClass } from './page-store-faulty.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the suite for page stores finds', () => {
  it('a backup for which nothing is kept, and one for which it is kept for good', async () => {
    const { hold } = FileSpace.prototype;
    vi.spyOn(FileSpace.prototype, 'hold').mockImplementation(() => () => undefined);
    const ids = ['copies-a-checkpoint', 'backup-gives-space-back'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
    vi.spyOn(FileSpace.prototype, 'hold').mockImplementation(function (this: FileSpace, epoch) {
      hold.call(this, epoch);
      return () => undefined;
    });
    expect(await brokenBy(BufferPool, ...ids)).toEqual(['backup-gives-space-back']);
  });

  it('a backup that is made under its own name', async () => {
    const there = (path: string) => path.replace('.pw-part', '');
    const Open = copyingThrough((io) => ({
      open: (path, flags) => io.open(there(path), flags),
      remove: (path) => io.remove(there(path)),
      rename: async () => {},
      exists: async () => false,
    }));
    const ids = ['backup-overwrites-nothing', 'backup-survives-crashes'];
    expect(await brokenBy(Open, ...ids)).toEqual(ids);
  });

  it('a backup that is not synced, or its name is not', async () => {
    const Unsynced = copyingThrough((io) => ({
      open: async (path, flags) => {
        const file = await io.open(path, flags);
        return fileWith(file, { sync: async () => {}, submit: (operations) => file.submit(operations) });
      },
    }));
    const Nameless = copyingThrough(() => ({ syncDirectory: async () => {} }));
    const ids = ['copies-an-empty-store', 'backup-survives-crashes'];
    expect(await brokenBy(Unsynced, ...ids)).toEqual(ids.slice(1));
    expect(await brokenBy(Nameless, ...ids)).toEqual(ids.slice(1));
  });

  it('a backup that leaves behind what it has written when it ends early', async () => {
    const Untidy = copyingThrough(() => ({ remove: async () => {} }));
    const ids = ['ended-backup-leaves-nothing'];
    expect(await brokenBy(Untidy, ...ids)).toEqual(ids);
  });

  it('a backup whose file is not locked', async () => {
    const Unlocked = copyingThrough((io) => ({
      open: async (path, flags) =>
        fileWith(await io.open(path, flags), { lock: async () => ({ release: async () => {} }) }),
    }));
    expect(await brokenBy(Unlocked, 'one-backup-to-a-path')).toEqual(['one-backup-to-a-path']);
  });

  it('a backup of pages that were not held against their checksums', async () => {
    vi.spyOn(PageFile.prototype, 'verify').mockImplementation(() => {});
    const ids = ['backup-checks-what-it-copies'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a backup that goes through memory', async () => {
    class Loading extends BufferPool {
      override backup(request: BackupRequest): Promise<BackupResult> {
        for (let slot = 0; slot < FANOUT ** 2; slot++) {
          try {
            new PageTree(this).numberAt([slot >>> 4, slot % FANOUT]);
          } catch {} // there is no page
        }
        return super.backup(request);
      }
    }
    const ids = ['backup-leaves-memory-alone', 'ended-backup-leaves-nothing'];
    expect(await brokenBy(Loading, ...ids)).toEqual(ids.slice(0, 1));
  });

  it('a backup that waits for no answer, and one that says nothing between beginning and end', async () => {
    class Hasty extends BufferPool {
      override backup({ advanced, ...request }: BackupRequest): Promise<BackupResult> {
        return super.backup({ ...request, advanced: (progress) => void advanced(progress) });
      }
    }
    class Silent extends BufferPool {
      override backup({ advanced, ...request }: BackupRequest): Promise<BackupResult> {
        const isEnd = ({ bytes, totalBytes }: BackupProgress) => bytes === 0 || bytes === totalBytes;
        return super.backup({
          ...request,
          advanced: (progress) => (isEnd(progress) ? advanced(progress) : undefined),
        });
      }
    }
    expect(await brokenBy(Hasty, 'tells-how-far-it-is')).toEqual(['tells-how-far-it-is']);
    const ids = ['tells-how-far-it-is', 'ended-backup-leaves-nothing'];
    expect(await brokenBy(Silent, ...ids)).toEqual(ids);
  });

  it('a copy with gaps, and one whose map has no regard to its pages', async () => {
    const { allocate, forEachGap } = BackupSpace.prototype;
    vi.spyOn(BackupSpace.prototype, 'allocate').mockImplementation(function (this: BackupSpace, sizeClass) {
      allocate.call(this, sizeClass);
      return allocate.call(this, sizeClass);
    });
    const ids = ['copies-a-checkpoint', 'copy-is-a-store', 'copy-is-compact'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(2));
    vi.mocked(BackupSpace.prototype.allocate).mockRestore();
    vi.spyOn(BackupSpace.prototype, 'forEachGap').mockImplementation(function (this: BackupSpace, visit) {
      forEachGap.call(this, visit);
      // Not the last one, which is the map.
      visit(2, this.units - 5);
    });
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(1));
  });

  it('a copy that is another store, and one that names a log', async () => {
    const changed = (change: (superblock: Superblock) => Superblock): PoolClass =>
      class extends BufferPool {
        override async backup(request: BackupRequest): Promise<BackupResult> {
          const result = await super.backup(request);
          const file = await request.io.open(request.path, {});
          for (const offset of [0, SLOT_SIZE]) {
            const block = Buffer.alloc(SLOT_SIZE);
            file.readSync(block, offset);
            const slot = decodeSlot(block);
            if (slot.kind === 'valid') file.writeSync(encodeSuperblock(change(slot.superblock)), offset);
          }
          await file.close();
          return result;
        }
      };
    const ids = ['copies-a-checkpoint', 'copy-is-a-store'];
    const other = changed((superblock) => ({ ...superblock, storeId: 'ab'.repeat(16) }));
    expect(await brokenBy(other, ...ids)).toEqual(['copy-is-a-store']);
    const log = { incarnation: 7, segment: 1, offset: 4096 };
    const logged = changed((superblock) => ({ ...superblock, mark: { ...superblock.mark, log } }));
    expect(await brokenBy(logged, ...ids)).toEqual(['copies-a-checkpoint']);
  });

  it('a compaction that does nothing, one that loses count, and one that waits for no answer', async () => {
    class Idle extends BufferPool {
      override async compact({ advanced }: CompactRequest): Promise<CompactResult> {
        const bytes = this.stats().fileBytes;
        await advanced({ pages: 0, bytes: 0, fileBytes: bytes });
        return { bytesBefore: bytes, bytesAfter: bytes, pages: 0, retainedBytes: 0 };
      }
    }
    class Forgetful extends BufferPool {
      override async compact(request: CompactRequest): Promise<CompactResult> {
        const bytesBefore = this.stats().fileBytes;
        return { ...(await super.compact(request)), bytesBefore };
      }
    }
    class Hasty extends BufferPool {
      override compact({ advanced, ...request }: CompactRequest): Promise<CompactResult> {
        return super.compact({
          ...request,
          advanced: (progress) => void Promise.resolve(advanced(progress)).catch(() => {}),
        });
      }
    }
    const ids = ['compaction-makes-the-file-smaller', 'compaction-tells-how-far-it-is', 'compactions-take-turns'];
    expect(await brokenBy(Idle, ...ids)).toEqual(ids.slice(0, 2));
    expect(await brokenBy(Forgetful, ...ids)).toEqual(ids.slice(2));
    expect(await brokenBy(Hasty, ...ids)).toEqual(ids.slice(1, 2));
  });

  it('a file that is cut off before both superblocks know of it', async () => {
    vi.spyOn(Checkpointer.prototype, 'mappedUnits', 'get').mockReturnValue(0);
    const ids = ['compaction-survives-crashes'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('space that a page has left by being moved, and that is used again at once', async () => {
    vi.spyOn(Epochs.prototype, 'extentFreed').mockImplementation(function (this: Epochs, address) {
      const { space } = (this as unknown as { parts: { space: FileSpace } }).parts;
      space.withdraw(address);
    });
    const ids = ['compaction-keeps-what-a-backup-reads'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a compaction that does more than it is asked to, and one that does nothing of the kind', async () => {
    class Thorough extends BufferPool {
      override compact({ tailOnly, ...request }: CompactRequest): Promise<CompactResult> {
        return super.compact({ ...request, tailOnly: tailOnly !== true });
      }
    }
    class Idle extends BufferPool {
      override compact(request: CompactRequest): Promise<CompactResult> {
        if (request.tailOnly !== true) return super.compact(request);
        const { fileBytes } = this.stats();
        return Promise.resolve({ bytesBefore: fileBytes, bytesAfter: fileBytes, pages: 0, retainedBytes: 0 });
      }
    }
    const ids = ['compaction-of-the-tail'];
    expect(await brokenBy(Thorough, ...ids)).toEqual(ids);
    expect(await brokenBy(Idle, ...ids)).toEqual(ids);
  });

  it('a compaction that goes through memory', async () => {
    class Loading extends BufferPool {
      override compact(request: CompactRequest): Promise<CompactResult> {
        for (let leaf = 0; leaf < 16 * 16 * 4; leaf++) {
          try {
            new PageTree(this).numberAt([leaf >>> 6, (leaf >>> 2) % 16, leaf % 4]);
          } catch {} // there is no page
        }
        return super.compact(request);
      }
    }
    const ids = ['compaction-leaves-memory-alone'];
    expect(await brokenBy(Loading, ...ids)).toEqual(ids);
  });

  it('a file that gets smaller without regard to readers, and readers who do not know what became of it', async () => {
    const ids = ['compaction-keeps-what-readers-read', 'compaction-overtakes-readers', 'compaction-is-for-writers'];
    vi.spyOn(PageFile.prototype, 'whyUnread').mockImplementation((error) => error);
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(1, 2));
    vi.mocked(PageFile.prototype.whyUnread).mockRestore();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async (epoch) => epoch);
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(0, 1));
  });
});
