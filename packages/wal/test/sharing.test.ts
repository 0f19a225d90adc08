/** What threads share in this log in particular, in turns that are chosen: room in files and in memory, segments that one of them is making, bytes beside the memory. */
import { type IoBackend, type Log, SharedLatch } from '@pagewright/core';
import { dropAll, SimulatedDevice } from '@pagewright/testkit';
import { type AttachedLog, type LogStore, newSuperblock, recordOf, settled } from '@pagewright/testkit/rig';
import { afterEach, describe, expect, test } from 'vitest';
import { RECORD_HEADER_SIZE } from '../src/format/record.js';
import type { WalOptions } from '../src/options.js';
import { checkHandle, type LogMemory } from '../src/sharing/log-memory.js';
import { LogState, MOST_UNFLUSHED_SEGMENTS } from '../src/sharing/log-state.js';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { openLogStore } from './store.js';

const KIB = 1024;

async function openStore(options: WalOptions, count = 1): Promise<{ store: LogStore; others: AttachedLog[] }> {
  const store = await openLogStore(new SimulatedDevice(), newSuperblock(), {
    options: { segmentSize: 64 * KIB, ...options },
  });
  const others: AttachedLog[] = [];
  for (let i = 0; i < count; i++) others.push(await store.attach(new WriteAheadLog()));
  return { store, others };
}

/** After a loss of power there are so many records from the last checkpoint on. */
async function expectRecovered(store: LogStore, count: number): Promise<void> {
  const { timestamp } = store.superblock.mark;
  const again = await openLogStore(store.disk.copy().afterCrash(dropAll), { ...store.superblock });
  expect(again.recovered.map((record) => record.timestamp)).toEqual(
    Array.from({ length: count }, (_, i) => timestamp + 1 + i),
  );
}

function reserve({ log }: { readonly log: Log }, store: LogStore, size: number): number {
  const bytes = log.sizeOf(store.nextRecord(size).operations);
  log.reserveSync(bytes);
  return bytes;
}

describe('room that a thread has reserved', () => {
  test('is not left behind when another goes on to the next segment', async () => {
    const { store, others } = await openStore({ bufferLimit: 256 * KIB });
    const [other] = others as [AttachedLog];
    for (let i = 0; i < 30; i++) store.commitSync(4 * KIB); // beyond its size, with the next one ready
    await settled(10);
    expect(store.log.stats().segments).toBe(2);
    expect(store.log.mark().segment).toBe(1);
    reserve(other, store, 50 * KIB);
    store.append(20 * KIB);
    other.log.append(store.nextRecord(50 * KIB));
    store.timestamp++;
    await store.commit(10);
    await expectRecovered(store, 33);
  });

  test('is not taken by a mark', async () => {
    const { store, others } = await openStore({ segmentSize: 16 * KIB * KIB, bufferLimit: 1024 * KIB });
    const [other] = others as [AttachedLog];
    store.commitSync(10);
    const { offset } = store.log.mark();
    let size = 200 * KIB;
    const ends = () => offset + store.log.sizeOf(recordOf(2, 0, size).operations) + RECORD_HEADER_SIZE;
    while (ends() % 4096 !== 0) size++;
    const bytes = reserve(other, store, size);
    store.log.commitSync(store.log.stats().appendedBytes + 1); // flushes, and has something to tell
    expect(store.log.mark().offset).toBe(offset);
    other.log.append(store.nextRecord(size));
    store.timestamp++;
    expect(store.log.mark().offset).toBe(offset + bytes);
    store.commitSync(10);
    await expectRecovered(store, 3);
  });

  test('in memory is kept: what another appends is written at once instead', async () => {
    const { store, others } = await openStore({ segmentSize: 1024 * KIB, bufferLimit: 64 * KIB }, 2);
    const [first, second] = others as [AttachedLog, AttachedLog];
    reserve(first, store, 40 * KIB);
    store.append(30 * KIB, second.log);
    expect(store.log.stats().pendingBytes).toBe(0);
    const { operations } = store.disk;
    first.log.append(store.nextRecord(40 * KIB));
    store.timestamp++;
    expect(store.disk.operations).toBe(operations);
    expect(store.log.stats().pendingBytes).toBeGreaterThan(40 * KIB);
    await store.log.commit(store.log.stats().appendedBytes);
    await expectRecovered(store, 2);
  });

  test('is free when the thread has ended', async () => {
    const { store, others } = await openStore({ bufferLimit: 1024 * KIB });
    const [other] = others as [AttachedLog];
    other.log.reserveSync(900 * KIB);
    other.threads.leave();
    for (let i = 0; i < 40; i++) store.commitSync(10 * KIB);
    // Without the 900 KiB behind them.
    expect(Math.max(...store.disk.files().map((path) => store.disk.sizeOf(path)))).toBeLessThan(1800 * KIB);
    await expectRecovered(store, 40);
  });

  test('is this thread’s until it ends its turn, and then the others’', async () => {
    const { store, others } = await openStore({ segmentSize: 1024 * KIB, bufferLimit: 64 * KIB });
    const [other] = others as [AttachedLog];
    reserve(other, store, 60 * KIB);
    await Promise.resolve();
    store.append(30 * KIB);
    expect(store.log.stats().pendingBytes).toBeGreaterThan(30 * KIB);
  });
});

describe('a record that is larger than the memory for unflushed ones', () => {
  test('is durable when it is appended, with all before it, and the stream goes on behind it', async () => {
    const { store, others } = await openStore({ segmentSize: 512 * KIB, bufferLimit: 64 * KIB });
    const [other] = others as [AttachedLog];
    let count = 0;
    for (let round = 0; round < 12; round++) {
      const log = round % 2 === 0 ? store.log : other.log;
      store.append(round * 700, log);
      store.append(100 * KIB + round * 9000, log);
      count += 2;
      expect(log.stats().pendingBytes).toBe(0);
      await expectRecovered(store, count);
      for (let i = 0; i < 5; i++) store.append(9000 + i * 8, other.log);
      store.commitSync(round, store.log);
      count += 6;
      await expectRecovered(store, count);
    }
  });

  test('leaves the memory of those after it in order, wherever in it they come to lie', async () => {
    const { store } = await openStore({ segmentSize: 4096 * KIB, bufferLimit: 192 * KIB });
    let count = 0;
    for (let round = 0; round < 12; round++) {
      store.append(200 * KIB + round * 7000);
      for (let i = 0; i < 15; i++) store.append(11_000 + round * 24);
      expect(store.log.stats().pendingBytes).toBeGreaterThan(150 * KIB);
      store.log.commitSync(store.log.stats().appendedBytes);
      count += 16;
    }
    await expectRecovered(store, count);
  });
});

describe('the log latch', () => {
  let latch: SharedLatch;
  // A test that has failed leaves it to nobody.
  afterEach(() => latch.give());

  const steps: [string, (log: Log, store: LogStore) => unknown][] = [
    ['reserves', (log) => log.reserveSync(100)],
    ['appends', (log, store) => log.append(store.nextRecord(10))],
    ['collects what it writes', (log) => log.commitSync(log.stats().appendedBytes)],
    ['asks for the end of the log', (log) => log.mark()],
  ];

  test.each(steps)('is waited for by who %s, and nothing is read or written before', async (_, step) => {
    const { store, others } = await openStore({}, 2);
    const [first, second] = others as [AttachedLog, AttachedLog];
    store.append(10);
    first.log.reserveSync(1000);
    latch = latchOf(store, second);
    latch.take();
    const { operations } = store.disk;
    const before = store.log.stats();
    let waits = 0;
    whileWaiting(
      () => {
        waits++;
        expect(store.disk.operations).toBe(operations);
        expect(store.log.stats()).toEqual(before);
        latch.give();
      },
      () => step(first.log, store),
    );
    expect(waits).toBe(1);
  });

  test('is held for an append, which finds out under it that the log was closed', async () => {
    const { store, others } = await openStore({}, 2);
    const [first, second] = others as [AttachedLog, AttachedLog];
    first.log.reserveSync(1000);
    latch = latchOf(store, second);
    latch.take();
    const close = () => {
      new LogState(memoryOf(store).state).close();
      latch.give();
    };
    expect(() => whileWaiting(close, () => first.log.append(store.nextRecord(10)))).toThrow(
      expect.objectContaining({ code: 'PW_CLOSED' }),
    );
    expect(store.log.stats().records).toBe(0);
  });
});

describe('the next segment', () => {
  test('is made by one thread, and others go on without waiting for it', async () => {
    const { store, others } = await openStore({}, 2);
    const [first, second] = others as [AttachedLog, AttachedLog];
    const released = holdCreation(store.disk, '2.log');
    for (let i = 0; i < 10; i++) await store.commit(5 * KIB, first.log);
    await settled();
    expect(released.isHeld()).toBe(true);
    for (let i = 0; i < 20; i++) await store.reserveAndCommit(5 * KIB, second.log);
    expect(store.log.mark().segment).toBe(1);
    released.release();
    await settled(10);
    for (let i = 0; i < 3; i++) await store.reserveAndCommit(5 * KIB, second.log);
    expect(store.log.mark().segment).toBe(2);
    await expectRecovered(store, 33);
  });

  test('is made by another when the thread that was making it has ended', async () => {
    const { store, others } = await openStore({}, 2);
    const [first, second] = others as [AttachedLog, AttachedLog];
    const released = holdCreation(store.disk, '2.log');
    for (let i = 0; i < 10; i++) await store.commit(5 * KIB, first.log);
    await settled();
    expect(released.isHeld()).toBe(true);
    first.threads.leave();
    for (let i = 0; i < 10; i++) {
      await store.reserveAndCommit(5 * KIB, second.log);
      await settled();
    }
    expect(store.log.mark().segment).toBe(2);
    await expectRecovered(store, 20);
  });

  test('is not taken away to let it grow while another thread has room reserved in it', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const { store, others } = await openStore({ bufferLimit: 1024 * KIB }, 2);
      const [first, second] = others as [AttachedLog, AttachedLog];
      for (let i = 0; i < 8; i++) {
        await store.reserveAndCommit(7 * KIB);
        await settled();
      }
      expect([store.log.mark().segment, store.log.stats().segments]).toEqual([1, 2]);
      const larger = second.log.reserve(400 * KIB);
      for (let step = 0; step < steps; step++) await null;
      let appended = false;
      queueMicrotask(() => {
        first.log.append(store.nextRecord(30 * KIB));
        store.timestamp++;
        appended = true;
      });
      reserve(first, store, 30 * KIB);
      await larger;
      expect(appended).toBe(true);
      await store.commit(10);
      await expectRecovered(store, 10);
    }
  });

  test('is not entered while more segments than the log keeps in mind are not durable', async () => {
    const { store } = await openStore({ bufferLimit: 16 * KIB * KIB });
    for (let i = 0; i < MOST_UNFLUSHED_SEGMENTS + 20; i++) {
      await store.reserve(50 * KIB);
      store.append(50 * KIB);
      await settled();
    }
    expect(store.log.stats().flushes).toBeLessThan(3);
    expect(store.log.mark().segment).toBeLessThanOrEqual(MOST_UNFLUSHED_SEGMENTS + 1);
    await store.commit(10);
    await expectRecovered(store, MOST_UNFLUSHED_SEGMENTS + 21);
  });
});

describe('files', () => {
  test('that were given up while a thread was about to open them fail nobody', async () => {
    const { store, others } = await openStore({});
    const [other] = others as [AttachedLog];
    let release = (): void => {};
    store.disk.hold = ({ kind }) => {
      if (kind !== 'open') return undefined;
      store.disk.hold = null;
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const late = store.commit(10, other.log);
    await settled();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 12; i++) {
        store.commitSync(7 * KIB);
        await settled(1);
      }
      await store.checkpoint();
    }
    expect(store.disk.files().some((path) => path.endsWith('-00000001.log'))).toBe(false);
    release();
    await late;
    await store.commit(10, other.log);
    expect(store.failures).toEqual([]);
    expect(other.failures).toEqual([]);
  });

  test('of segments that were given up are closed by threads that are idle, too', async () => {
    const { store } = await openStore({}, 0);
    let open = 0;
    const io = new Proxy<IoBackend>(store.disk, {
      get(disk, name) {
        const value: unknown = Reflect.get(disk, name);
        if (name !== 'openSync') return typeof value === 'function' ? value.bind(disk) : value;
        return (...given: Parameters<IoBackend['openSync']>) => {
          const file = store.disk.openSync(...given);
          const { close } = file;
          open++;
          file.close = () => {
            open--;
            return close.call(file);
          };
          return file;
        };
      },
    });
    const idle = await store.attach(new WriteAheadLog(), io);
    store.commitSync(10, idle.log);
    expect(open).toBe(1);
    for (let i = 0; i < 30; i++) {
      await store.reserveAndCommit(6 * KIB);
      await settled(1);
    }
    expect(open).toBe(1);
    await store.checkpoint();
    await settled(5);
    expect(open).toBe(0);
  });
});

describe('a thread that comes to it when the store is closed', () => {
  test('hears of what others call for, and has nothing to say', async () => {
    const rejections: unknown[] = [];
    const note = (error: unknown): unknown => rejections.push(error);
    process.on('unhandledRejection', note);
    try {
      const { store, others } = await openStore({}, 2);
      await store.threads.closeForOthers();
      await store.log.close({ discard: false });
      await settled();
      for (const { log, failures } of others) {
        await log.close({ discard: false });
        expect(failures).toEqual([]);
      }
    } finally {
      process.off('unhandledRejection', note);
    }
    expect(rejections).toEqual([]);
  });

  test('closes the log without an error, though it cannot finish what it was writing: the thread that opened it has', async () => {
    const { store, others } = await openStore({});
    const [other] = others as [AttachedLog];
    store.append(10, other.log);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      store.disk.hold = ({ kind }) => {
        if (kind !== 'sync') return undefined;
        store.disk.hold = null;
        resolve();
        return new Promise((go) => {
          release = () => go();
        });
      };
    });
    const closing = other.log.close({ discard: false });
    await held;
    await store.log.close({ discard: false });
    await store.threads.closeForOthers();
    release();
    await closing;
    await expectRecovered(store, 1);
  });
});

function memoryOf(store: LogStore): LogMemory {
  return checkHandle(store.log.share()).memory;
}

/** The latch of the log, as one more thread has it. */
function latchOf(store: LogStore, { threads }: AttachedLog): SharedLatch {
  return new SharedLatch(memoryOf(store).latch, threads, 'logLatch');
}

/** Runs something; when this thread would wait in it, `others` go on instead, and the wait is over. */
function whileWaiting(others: () => void, run: () => void): void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    others();
    return 'timed-out';
  };
  try {
    run();
  } finally {
    Atomics.wait = wait;
  }
}

/** Holds the first write to a segment that is being made. */
function holdCreation(disk: SimulatedDevice, name: string) {
  let held: (() => void) | null = null;
  disk.hold = ({ kind, path }) => {
    if (kind !== 'write' || !path.endsWith(name) || held !== null) return undefined;
    return new Promise((resolve) => {
      held = resolve;
    });
  };
  return { isHeld: () => held !== null, release: () => held?.() };
}

describe('what holds nobody back', () => {
  test('scenario 30: a thread that has nothing to write, or never waits for what it appended, or has ended, holds nobody back', async () => {
    const { store, others } = await openStore({ commit: 'autonomous' }, 3);
    const [idle, silent, ended] = others as [AttachedLog, AttachedLog, AttachedLog];
    await store.commit(100, idle.log);
    store.append(100, silent.log);
    store.append(100, ended.log);
    ended.threads.leave();
    await store.commit(100);
    await expectRecovered(store, 4);
  });

  test('is a write of another thread that does not come to its end: it is written here as well', async () => {
    const { store, others } = await openStore({ commit: 'autonomous' }, 1);
    const [other] = others as [AttachedLog];
    let reach = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    let release = (): void => undefined;
    store.disk.hold = ({ kind }) => {
      if (kind !== 'write') return undefined;
      store.disk.hold = null;
      reach();
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const slow = store.commit(100, other.log);
    await reached;
    await store.commit(100);
    await expectRecovered(store, 2);
    release();
    await slow;
    await store.commit(100, other.log);
    await expectRecovered(store, 3);
  });

  test('is any number of writes that ended with their threads', async () => {
    const { store, others } = await openStore({ commit: 'autonomous', depth: 16, batchBytes: 0 }, 5);
    store.disk.hold = ({ kind }) => (kind === 'write' ? new Promise(() => undefined) : undefined);
    for (const { log } of others) {
      for (let i = 0; i < 16; i++) {
        void store.commit(100, log).catch(() => undefined);
        await settled(1);
      }
    }
    for (const { threads } of others) threads.leave();
    store.disk.hold = null;
    for (let i = 0; i < 3; i++) await store.commit(100);
    await expectRecovered(store, 83);
  });
});
