/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. Here: threads. */
import { BufferPool, type PoolHandle } from '@pagewright/bufferpool';
import {
  type BackupRequest,
  type BackupResult,
  type CheckpointResult,
  type CheckpointSteps,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  type StoreState,
  Threads,
} from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Gate } from '../../bufferpool/src/gate.js';
import { Latches } from '../../bufferpool/src/latches.js';
import type { PoolMemory } from '../../bufferpool/src/pool-memory.js';
import { brokenBy, type PoolClass } from './page-store-faulty.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the suite for page stores finds between threads', () => {
  /** A pool that shares a part of its memory in name only: whoever attaches has a copy of it. */
  const copying = (...parts: (keyof PoolMemory)[]): PoolClass =>
    class extends BufferPool {
      override share(): PoolHandle {
        const handle = super.share();
        const memory: Record<string, unknown> = { ...handle.memory };
        for (const part of parts) memory[part] = copyOf(memory[part]);
        return { ...handle, memory: memory as unknown as PoolMemory };
      }
    };

  it('pages, versions, and counters that each thread has for itself', async () => {
    const ids = ['attached-has-the-same-pages', 'attached-keeps-the-tree'];
    expect(await brokenBy(copying('segments'), ...ids)).toEqual(ids);
    expect(await brokenBy(copying('frames'), ...ids)).toEqual(ids);
    expect(await brokenBy(copying('counters'), ...ids)).toEqual(['attached-keeps-the-tree']);
  });

  it('frames that each thread gives out from a list of its own', async () => {
    expect(await brokenBy(copying('blocks'), 'frames-are-given-once')).toEqual(['frames-are-given-once']);
  });

  it('a replacement policy that does not know which pages other threads brought in', async () => {
    expect(await brokenBy(copying('cooler'), 'attached-keeps-the-tree')).toEqual(['attached-keeps-the-tree']);
  });

  it('changes of other threads of which the checkpoint knows nothing', async () => {
    const ids = ['attached-changes-are-in-checkpoints'];
    expect(await brokenBy(copying('epochs'), ...ids)).toEqual(ids);
    expect(await brokenBy(copying('space'), ...ids)).toEqual(ids);
  });

  it('faulting that is on in all threads or in none, and loads that come to nothing', async () => {
    let faulting = false;
    class Common extends BufferPool {
      override child(parent: number, offset: number, version: number): number {
        Object.defineProperty(this, 'faulting', {
          get: () => faulting,
          set: (on: boolean) => {
            faulting = on;
          },
        });
        return super.child(parent, offset, version);
      }
    }
    class Alone extends BufferPool {
      override async loadFault(): Promise<void> {}
    }
    const ids = ['attached-faults-by-itself'];
    expect(await brokenBy(Common, ...ids)).toEqual(ids);
    expect(await brokenBy(Alone, ...ids)).toEqual(ids);
  });

  it('a checkpoint that does not wait for who is in the gate, and a gate that is left by the first of two leaves', async () => {
    vi.spyOn(Gate.prototype, 'whileClosed').mockImplementation((instant) => instant());
    const ids = ['gate-waits-for-all', 'verification-waits-for-all'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
    vi.restoreAllMocks();
    class Flat extends BufferPool {
      #depth = 0;
      override enterGate(): void {
        if (this.#depth++ === 0) super.enterGate();
      }
      override leaveGate(): void {
        if (this.#depth > 0) super.leaveGate();
        this.#depth = 0;
      }
    }
    expect(await brokenBy(Flat, 'gate-waits-for-all')).toEqual(['gate-waits-for-all']);
  });

  it('a latch that is not waited for', async () => {
    vi.spyOn(Latches.prototype, 'upgrade').mockReturnValue(true);
    vi.spyOn(Latches.prototype, 'unlatch').mockReturnValue(0);
    expect(await brokenBy(BufferPool, 'latch-waits-for-others')).toEqual(['latch-waits-for-others']);
  });

  it('anything that is taken for a handle', async () => {
    class Trusting extends BufferPool {
      override attach(request: PageStoreAttachRequest): Promise<void> {
        const { memory } = request.handle as PoolHandle;
        return memory === undefined ? Promise.reject(new TypeError('no memory')) : super.attach(request);
      }
    }
    class Easy extends BufferPool {
      override async attach(request: PageStoreAttachRequest): Promise<void> {
        await super.attach(request).catch(() => {});
      }
    }
    const ids = ['attach-refuses-what-is-no-handle', 'attaches-once'];
    expect(await brokenBy(Trusting, ...ids)).toEqual(ids.slice(0, 1));
    expect(await brokenBy(Easy, ...ids)).toEqual(ids);
  });

  it('checkpoints, verification and backups that any thread makes', async () => {
    class Anybody extends BufferPool {
      override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        return await super.checkpoint(steps).catch(() => ({}) as CheckpointResult);
      }
    }
    class Copying extends BufferPool {
      override async backup(request: BackupRequest): Promise<BackupResult> {
        return await super.backup(request).catch(() => ({}) as BackupResult);
      }
    }
    const ids = ['the-whole-store-is-its-owner-s'];
    expect(await brokenBy(Anybody, ...ids)).toEqual(ids);
    expect(await brokenBy(Copying, ...ids)).toEqual(ids);
  });

  it('a thread that closes the store for all others', async () => {
    const owners: BufferPool[] = [];
    class Closing extends BufferPool {
      override open(request: PageStoreOpenRequest): Promise<StoreState> {
        owners.push(this);
        return super.open(request);
      }
      override async close(): Promise<void> {
        await super.close();
        await Promise.all(owners.splice(0).map((owner) => owner.close()));
      }
    }
    expect(await brokenBy(Closing, 'attached-closes-alone')).toEqual(['attached-closes-alone']);
  });

  it('an owner that closes without a word, or without waiting', async () => {
    vi.spyOn(Threads.prototype, 'closeForOthers').mockResolvedValue();
    expect(await brokenBy(BufferPool, 'owner-closes-for-all')).toEqual(['owner-closes-for-all']);
    vi.restoreAllMocks();
    const { closeForOthers } = Threads.prototype;
    vi.spyOn(Threads.prototype, 'closeForOthers').mockImplementation(async function (this: Threads) {
      void closeForOthers.call(this);
    });
    expect(await brokenBy(BufferPool, 'owner-closes-for-all')).toEqual(['owner-closes-for-all']);
  });
});

/** Memory of the same content that nobody else has. */
function copyOf(memory: unknown): unknown {
  if (memory instanceof SharedArrayBuffer) {
    const copy = new SharedArrayBuffer(memory.byteLength);
    new Uint8Array(copy).set(new Uint8Array(memory));
    return copy;
  }
  if (Array.isArray(memory)) return memory.map(copyOf);
  if (typeof memory !== 'object' || memory === null) return memory;
  return Object.fromEntries(Object.entries(memory).map(([name, part]) => [name, copyOf(part)]));
}
