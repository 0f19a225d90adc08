/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. Here: checkpoints, the file and the room in it. */
import { BufferPool } from '@pagewright/bufferpool';
import {
  type CheckpointResult,
  type CheckpointSteps,
  type PageStoreOpenRequest,
  type PageStoreStats,
  RESTART,
  type StoreState,
  Threads,
} from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FileSpace } from '../../bufferpool/src/file-space.js';
import { brokenBy, fileWith, onFiles } from './page-store-faulty.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the suite for page stores finds', () => {
  it('extents that are free before no superblock names them (scenarios 20, 22)', async () => {
    const { giveUp } = FileSpace.prototype;
    vi.spyOn(FileSpace.prototype, 'giveUp').mockImplementation(function (this: FileSpace, address, epoch, number) {
      giveUp.call(this, address, epoch, number);
      this.release(number);
    });
    const ids = ['whole-after-a-crash', 'older-slot-stays'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('extents that are never free again', async () => {
    vi.spyOn(FileSpace.prototype, 'release').mockImplementation(() => {});
    expect(await brokenBy(BufferPool, 'space-is-used-again')).toEqual(['space-is-used-again']);
  });

  it('a gate that is passed before the epoch closes (scenario 13)', async () => {
    class Early extends BufferPool {
      override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const mark = steps.gate();
        for (let turn = 0; turn < 3; turn++) await null;
        return super.checkpoint({ gate: () => mark, secureLog: (given) => steps.secureLog(given) });
      }
    }
    const ids = ['holds-the-gate', 'gate-in-mid-change'];
    expect(await brokenBy(Early, ...ids)).toEqual(ids);
  });

  it('a superblock that is written before the log is secured', async () => {
    class Ahead extends BufferPool {
      override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const result = await super.checkpoint({ gate: () => steps.gate(), secureLog: async () => {} });
        await steps.secureLog(result.mark);
        return result;
      }
    }
    const ids = ['secures-the-log-first', 'log-cannot-be-secured'];
    expect(await brokenBy(Ahead, ...ids)).toEqual(ids);
  });

  it('a checkpoint that does not make way, or does not sync when it should', async () => {
    class Deaf extends BufferPool {
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const advanced: CheckpointSteps['advanced'] = async (progress, sync) =>
          void steps.advanced?.(progress, sync).catch(() => {});
        return super.checkpoint({ ...steps, advanced });
      }
    }
    expect(await brokenBy(Deaf, 'makes-way', 'making-way-fails')).toEqual(['makes-way', 'making-way-fails']);
    class Lazy extends BufferPool {
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        return super.checkpoint({ ...steps, advanced: async (progress) => steps.advanced?.(progress, async () => {}) });
      }
    }
    expect(await brokenBy(Lazy, 'makes-way')).toEqual(['makes-way']);
    class Silent extends BufferPool {
      override checkpoint({ gate, secureLog }: CheckpointSteps): Promise<CheckpointResult> {
        return super.checkpoint({ gate, secureLog });
      }
    }
    expect(await brokenBy(Silent, 'makes-way')).toEqual(['makes-way']);
  });

  it('a log that is not waited for', async () => {
    class Impatient extends BufferPool {
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        return super.checkpoint({
          gate: () => steps.gate(),
          secureLog: async (mark) => void steps.secureLog(mark).catch(() => {}),
        });
      }
    }
    const ids = ['secures-the-log-first', 'log-cannot-be-secured'];
    expect(await brokenBy(Impatient, ...ids)).toEqual(ids);
  });

  it('pages that are not synced before the superblock names them', async () => {
    const Unsynced = onFiles((file) => fileWith(file, { sync: async () => {} }));
    const ids = ['secures-the-log-first', 'whole-after-a-crash'];
    expect(await brokenBy(Unsynced, ...ids)).toEqual(ids);
  });

  it('a superblock that is not synced when the checkpoint is reported', async () => {
    const Unsynced = onFiles((file) => fileWith(file, { submit: (operations) => file.submit(operations) }));
    expect(await brokenBy(Unsynced, 'secures-the-log-first')).toEqual(['secures-the-log-first']);
  });

  it('checkpoints that queue instead of sharing', async () => {
    class Queueing extends BufferPool {
      #last: Promise<unknown> = Promise.resolve();
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const mine = this.#last.then(() => super.checkpoint(steps));
        this.#last = mine.catch(() => {});
        return mine;
      }
    }
    expect(await brokenBy(Queueing, 'shares-checkpoints')).toEqual(['shares-checkpoints']);
  });

  it('a request that shares a checkpoint which was under way already', async () => {
    class Lazy extends BufferPool {
      #running: Promise<CheckpointResult> | null = null;
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        this.#running ??= super.checkpoint(steps).finally(() => {
          this.#running = null;
        });
        return this.#running;
      }
    }
    expect(await brokenBy(Lazy, 'shares-checkpoints')).toEqual(['shares-checkpoints']);
  });

  it('room that is not secured', async () => {
    class Hopeful extends BufferPool {
      override secureSpace(): void {}
    }
    const ids = ['refuses-before-it-is-full', 'secured-is-enough'];
    expect(await brokenBy(Hopeful, ...ids)).toEqual(ids);
  });

  it('room that is secured, and anybody else counts on', async () => {
    class Generous extends BufferPool {
      override secureSpace(pages: number): void {
        super.secureSpace(pages);
        super.giveSpace(pages);
      }
      override giveSpace(): void {}
    }
    const ids = ['secured-room-is-kept', 'secured-room-is-of-its-thread'];
    expect(await brokenBy(Generous, ...ids)).toEqual(ids);
  });

  it('room that a thread has secured, and keeps when it has left', async () => {
    const present = vi.spyOn(Threads.prototype, 'isPresent').mockReturnValue(true);
    try {
      expect(await brokenBy(BufferPool, 'secured-room-is-of-its-thread')).toEqual(['secured-room-is-of-its-thread']);
    } finally {
      present.mockRestore();
    }
  });

  it('a file that is not locked', async () => {
    const Unlocked = onFiles((file) => fileWith(file, { lock: async () => ({ release: async () => {} }) }));
    expect(await brokenBy(Unlocked, 'one-holder')).toEqual(['one-holder']);
  });

  it('writes to a file that was opened read-only', async () => {
    class Writing extends BufferPool {
      override open(request: PageStoreOpenRequest): Promise<StoreState> {
        return super.open({ ...request, readOnly: false });
      }
    }
    expect(await brokenBy(Writing, 'read-only')).toEqual(['read-only']);
  });

  it('a second close that fails, and one that does not wait', async () => {
    class Strict extends BufferPool {
      #closed = false;
      override close(): Promise<void> {
        if (this.#closed) throw new Error('closed already');
        this.#closed = true;
        return super.close();
      }
    }
    class Abrupt extends BufferPool {
      override async close(): Promise<void> {
        void super.close().catch(() => {});
      }
    }
    expect(await brokenBy(Strict, 'close-is-idempotent')).toEqual(['close-is-idempotent']);
    expect(await brokenBy(Abrupt, 'close-is-idempotent')).toEqual(['close-is-idempotent']);
  });

  it('a state that is not that of the store', async () => {
    class Amnesic extends BufferPool {
      override async open(request: PageStoreOpenRequest): Promise<StoreState> {
        return { ...(await super.open(request)), storeId: '0'.repeat(32) };
      }
    }
    expect(await brokenBy(Amnesic, 'says-what-it-found')).toEqual(['says-what-it-found']);
  });

  it('figures that do not add up', async () => {
    class Boasting extends BufferPool {
      override stats(): PageStoreStats {
        const stats = super.stats();
        return { ...stats, memoryBytes: 1 };
      }
    }
    expect(await brokenBy(Boasting, 'counts-add-up')).toEqual(['counts-add-up']);
  });

  it('pages of a size class that are not among all pages', async () => {
    class Forgetful extends BufferPool {
      override stats(): PageStoreStats {
        const stats = super.stats();
        return { ...stats, bySizeClass: stats.bySizeClass.slice(1) };
      }
    }
    expect(await brokenBy(Forgetful, 'counts-add-up')).toEqual(['counts-add-up']);
  });

  it('readers that never get on', async () => {
    class Shy extends BufferPool {
      override child(): number {
        return RESTART;
      }
    }
    expect(await brokenBy(Shy, 'reaches-what-was-linked')).toEqual(['reaches-what-was-linked']);
  });
});
