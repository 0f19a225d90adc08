/** Several threads on one log, on real files: what was acknowledged to any of them is found, whole and in order, whichever of them ended when. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { POINT, type ReplayedRecord, Threads } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { assertSameRecord, newSuperblock, readAll, recordOf, stateOf } from '@pagewright/testkit/rig';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { bundle } from '../../io-posix/test/bundle.js';
import type { WalOptions } from '../src/options.js';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { Appender, appendingMemory, hammered } from './appending.js';
import type { AppendingEnd, AppendingTask } from './appending-program.js';
import { commitsIn, upTo } from './archived-records.js';
import { firstOf } from './store.js';
import { UnsyncedFiles } from './unsynced-files.js';

const SEED = Number(process.env.STRESS_SEED ?? 1);
const MOST = 100_000;

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-wal-threads-'));
  program = await bundle('../../wal/test/appending-program.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

interface RunningThread {
  readonly worker: Worker;
  readonly stopped: Promise<void>;
  readonly ended: Promise<AppendingEnd | 'terminated'>;
}

/** A log on real files that this thread has opened, and others append to. */
class Rig {
  readonly directory = path.join(fs.mkdtempSync(path.join(directory, 'store-')), 'app.pw-wal');
  readonly threads = Threads.alone();
  readonly memory = appendingMemory(MOST);
  readonly superblock = newSuperblock();
  readonly log: WriteAheadLog;
  readonly failures: Error[] = [];
  checkpoints = 0;
  #appender: Appender | null = null;

  constructor(
    commit: string,
    readonly io: NodeFiles = new NodeFiles(),
    more: WalOptions = {},
  ) {
    const sizes = { segmentSize: '128KiB', bufferLimit: '256KiB', maxRecordSize: '1MiB' };
    this.log = new WriteAheadLog({ ...sizes, commit, ...more });
  }

  async open(): Promise<void> {
    const request = { directory: this.directory, io: this.io, state: stateOf(this.superblock), threads: this.threads };
    const onFailure = (error: Error) => this.failures.push(error);
    await readAll(await this.log.open({ ...request, readOnly: false, onFailure }));
    const mark = this.log.begin();
    await this.log.secure(mark);
    this.superblock.mark = { timestamp: 0, log: mark };
    await this.log.discardOld();
    this.#appender = new Appender(this.log, this.threads, this.memory);
  }

  get appender(): Appender {
    return this.#appender as Appender;
  }

  start(task: Partial<AppendingTask> & { readonly seed: number }): RunningThread {
    const workerData: AppendingTask = {
      handle: this.log.share(),
      threads: this.threads.words.buffer as SharedArrayBuffer,
      memory: this.memory,
      times: 300,
      pauses: 0,
      ...task,
    };
    const worker = new Worker(program, { workerData });
    let stop = (): void => {};
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    const ended = new Promise<AppendingEnd | 'terminated'>((resolve, reject) => {
      worker.on('message', (message: AppendingEnd | 'stopped') => {
        if (message === 'stopped') stop();
        else resolve(message);
      });
      worker.once('error', reject);
      worker.once('exit', () => resolve('terminated'));
    });
    return { worker, stopped, ended };
  }

  /** As an engine does it: the older of two marks is what is kept from. */
  async checkpoint(): Promise<void> {
    const mark = this.appender.mark();
    await this.log.secure(mark.log);
    const older = this.superblock.mark;
    this.superblock.mark = mark;
    await this.log.recycle(older.log);
    this.checkpoints++;
  }

  /** Checkpoints, until the work is over. */
  async checkpointsUntil(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    work.then(over, over);
    while (!isOver) {
      await this.checkpoint();
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    await work;
  }

  get acknowledged(): number[] {
    const flags = new Uint8Array(this.memory.acknowledged);
    return [...flags.keys()].filter((timestamp) => flags[timestamp] === 1);
  }

  /** Replays what is in the files, as another process would, and holds it against what was acknowledged. */
  async check(recordAt = asItSays): Promise<void> {
    const { timestamp } = this.superblock.mark;
    const state = stateOf(this.superblock);
    const log = new WriteAheadLog();
    const request = { directory: this.directory, io: this.io, state, threads: Threads.alone() };
    const found = await readAll(await log.open({ ...request, readOnly: true, onFailure: () => undefined }));
    for (const [i, record] of found.entries()) {
      expect(record.timestamp).toBe(timestamp + 1 + i);
      assertSameRecord(record, recordAt(record));
    }
    expect(Math.max(0, ...this.acknowledged)).toBeLessThanOrEqual(timestamp + found.length);
    await log.close({ discard: false });
  }
}

/** The record that its own key describes. */
function asItSays(record: ReplayedRecord): ReplayedRecord {
  const { time } = record;
  const [timestamp, slot, size] = new TextDecoder().decode(firstOf(record).key).split('/').map(Number);
  return { ...recordOf(timestamp as number, slot as number, size as number), time };
}

describe('threads on one log', () => {
  test.each([
    ['pipelined', 0],
    ['pipelined', 4],
    ['autonomous', 0],
    ['autonomous', 4],
    ['group', 0],
    ['sync', 0],
  ])('append and commit side by side, while segments are recycled (%s, pauses at one in %i points)', async (commit, pauses) => {
    const rig = new Rig(commit);
    await rig.open();
    const workers = [1, 2, 3].map((number) => rig.start({ seed: SEED * 100 + number, pauses }));
    const own = rig.appender.run(SEED * 100, 200);
    await rig.checkpointsUntil(Promise.all([own, ...workers.map(({ ended }) => ended)]));
    for (const { ended } of workers) expect(await ended).toEqual({ how: 'done' });
    expect(rig.failures).toEqual([]);
    expect(rig.log.stats().records).toBe(1100);
    // The next segment may just be made.
    await vi.waitFor(() => expect(rig.log.stats().segments).toBe(fs.readdirSync(rig.directory).length));
    await rig.check();
    await rig.log.close({ discard: false });
    await rig.check();
    expect(rig.acknowledged.length).toBeGreaterThan(700);
  });

  test('append, flush and go on to other segments in the same microseconds', async () => {
    const rig = new Rig('pipelined', new UnsyncedFiles());
    await rig.open();
    const times = 12_000;
    const workers = [1, 2].map((seed) => rig.start({ seed, times, hammers: true }));
    let isOver = false;
    const ended = Promise.all(workers.map((worker) => worker.ended)).finally(() => (isOver = true));
    while (!isOver) {
      rig.appender.hammer(50);
      if (rig.appender.mark().timestamp % 3 === 0) await rig.checkpoint();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ended).toEqual([{ how: 'done' }, { how: 'done' }]);
    expect(rig.log.stats().records).toBeGreaterThan(2 * times);
    rig.log.commitSync(rig.log.stats().appendedBytes);
    await rig.check((record) => ({
      timestamp: record.timestamp,
      time: record.time,
      dependsOn: record.timestamp - 1,
      operations: hammered(record.timestamp, firstOf(record).index),
    }));
    await rig.log.close({ discard: true });
  });

  test.each([
    'pipelined',
    'autonomous',
  ])('append, flush and go on in the same microseconds in which segments are ended early for the archive (%s)', async (commit) => {
    const archive = path.join(fs.mkdtempSync(path.join(directory, 'archive-')), 'segments');
    const rig = new Rig(commit, new UnsyncedFiles(), { archive, archiveTimeoutMs: 1 });
    await rig.open();
    const times = 4000;
    const workers = [1, 2].map((seed) => rig.start({ seed, times, hammers: true }));
    const running = [SEED, SEED + 1].map((seed) => rig.start({ seed, times: 100, pauses: 4 }));
    let isOver = false;
    const ended = Promise.all([...workers, ...running].map((worker) => worker.ended)).finally(() => (isOver = true));
    const early = (): number => rig.log.mark().segment - rig.log.stats().appendedBytes / (128 * 1024);
    while (!isOver || early() < 20) {
      rig.appender.hammer(5);
      if (rig.appender.mark().timestamp % 3 === 0) await rig.checkpoint();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ended).toEqual(Array(4).fill({ how: 'done' }));
    expect(rig.failures).toEqual([]);
    const { timestamp } = rig.appender.mark();
    expect(timestamp).toBeGreaterThan(2 * times);
    await rig.log.seal(timestamp);
    await rig.log.close({ discard: true });
    expect(fs.existsSync(rig.directory)).toBe(false);
    expect(await commitsIn(archive, { io: rig.io, storeId: rig.superblock.storeId })).toEqual(upTo(timestamp));
  });

  test('have no files open in the end but those of the segments in use', async () => {
    const rig = new Rig('pipelined');
    await rig.open();
    const descriptors = () =>
      fs.existsSync('/proc/self/fd')
        ? fs.readdirSync('/proc/self/fd').flatMap((fd) => {
            try {
              const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
              return target.includes(rig.directory) ? [target] : [];
            } catch {
              return [];
            }
          })
        : [];
    const idle = rig.start({ seed: SEED, times: 0 });
    const workers = [1, 2].map((number) => rig.start({ seed: SEED * 10 + number }));
    await rig.checkpointsUntil(Promise.all([...workers, idle].map(({ ended }) => ended)));
    await rig.checkpoint();
    await rig.checkpoint();
    expect(descriptors().length).toBeLessThanOrEqual(6);
    await rig.log.close({ discard: true });
    expect(descriptors()).toEqual([]);
    expect(fs.existsSync(rig.directory)).toBe(false);
  });
});

const hasTasks = fs.existsSync('/proc/thread-self');

describe.skipIf(!hasTasks)('a thread that is terminated', () => {
  test.each([
    ['collected a flush', POINT.flushCollected, 10],
    ['synced a flush that nobody knows of', POINT.flushSynced, 10],
    ['made known what is durable', POINT.flushKnown, 10],
  ])('when it has %s leaves the others to go on, and what it appended to them', async (_, point, after) => {
    const rig = new Rig('pipelined');
    await rig.open();
    const stopping = rig.start({ seed: SEED, stopsAt: { point, after } });
    const going = rig.start({ seed: SEED + 1 });
    await stopping.stopped;
    // Nobody waits for it while it stands there.
    await rig.appender.run(SEED + 2, 60);
    expect(await going.ended).toEqual({ how: 'done' });
    await stopping.worker.terminate();
    rig.threads.sweep();
    await rig.appender.run(SEED + 3, 60);
    await rig.checkpoint();
    await rig.log.close({ discard: false });
    await rig.check();
  });

  test('while it holds a latch fails the others, in commits that wait too, and nothing that was acknowledged is lost', async () => {
    const rig = new Rig('pipelined');
    await rig.open();
    const going = rig.start({ seed: SEED + 1, times: 1_000_000 });
    const timestamp = new Int32Array(rig.memory.timestamp);
    while (Atomics.load(timestamp, 0) === 0) await new Promise((resolve) => setImmediate(resolve));
    const stopping = rig.start({ seed: SEED, stopsAt: { point: POINT.recordAppended, after: 40 } });
    await stopping.stopped;
    await stopping.worker.terminate();
    rig.threads.sweep();
    const { log } = rig;
    await expect(log.commit(log.stats().appendedBytes + 1)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(() => log.commitSync(log.stats().appendedBytes + 1)).toThrow(
      expect.objectContaining({ code: 'PW_COMMIT_UNKNOWN' }),
    );
    await expect(log.reserve(10)).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    expect(await going.ended).toMatchObject({ how: 'failed' });
    expect(rig.failures).toHaveLength(1);
    await log.close({ discard: true });
    await rig.check();
  });

  test('at any time leaves the others to go on, if it held nothing, and nothing that was acknowledged is lost', async () => {
    const random = new Random(SEED);
    for (let round = 0; round < 5; round++) {
      const rig = new Rig(random.pick(['pipelined', 'autonomous', 'sync']));
      await rig.open();
      const victim = rig.start({ seed: SEED * 50 + round, times: 5000, pauses: round % 3 === 0 ? 5 : 0 });
      const other = rig.start({ seed: SEED * 60 + round, times: 150 });
      const wanted = random.between(1, 150);
      const timestamp = new Int32Array(rig.memory.timestamp);
      while (timestamp[0]! < wanted) await new Promise((resolve) => setImmediate(resolve));
      await victim.worker.terminate();
      rig.threads.sweep();
      // It may not even have attached when the other one was lost.
      const end = await other.ended.catch((error: unknown) => error);
      if (rig.threads.isLost) {
        await rig.log.close({ discard: false });
      } else {
        expect(end).toEqual({ how: 'done' });
        await rig.appender.run(SEED + round, 50);
        await rig.log.close({ discard: false });
      }
      await rig.check();
    }
  });
});
