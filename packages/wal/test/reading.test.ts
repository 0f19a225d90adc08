import type { ReplayedRecord } from '@pagewright/core';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import {
  assertSameRecord,
  LogStore,
  newSuperblock,
  openLog,
  readAll,
  recordOf,
  type Superblock,
  settled,
} from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import type { WalOptions } from '../src/options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from '../src/write-ahead-log.js';
import { firstOf, openLogStore, SMALL } from './store.js';

const SEED = Number(process.env.LOG_READ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env.LOG_READ_ROUNDS ?? 25);
const ARCHIVE = '/archive';

const open = (options: WalOptions = SMALL): Promise<LogStore> =>
  openLogStore(new SimulatedDevice(), newSuperblock(), { options });
const reopen = ({ disk, superblock }: LogStore, options: WalOptions = SMALL, generation = 1): Promise<LogStore> =>
  openLogStore(disk, superblock, { options, generation });

interface Reading {
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
  readonly archive?: string;
}

function read(store: LogStore, after: number, options: Reading = {}): AsyncGenerator<ReplayedRecord, void, void> {
  return store.log.read!({ after, follow: true, ...options });
}

async function take(records: AsyncGenerator<ReplayedRecord, void, void>, count: number): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < count) {
    const { done, value } = await records.next();
    if (done) break;
    taken.push(value.timestamp);
  }
  return taken;
}

/** All that is there now. */
async function allAfter(store: LogStore, after: number, options: Reading = {}): Promise<number[]> {
  const taken: number[] = [];
  for await (const { timestamp } of read(store, after, { follow: false, ...options })) taken.push(timestamp);
  return taken;
}

const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const segmentsOn = (disk: SimulatedDevice): string[] => disk.files().filter((path) => /pw-wal.*\.log$/.test(path));

async function commits(store: LogStore, count: number, size = 20_000): Promise<void> {
  for (let i = 0; i < count; i++) await store.reserveAndCommit(size);
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: unknown) => error,
  );

/** As an engine does it after a crash: timestamps go on further above. */
async function openFurtherUp(
  io: SimulatedDevice,
  superblock: Superblock,
  timestamp: number,
  options: WalOptions,
): Promise<WriteAheadLog> {
  const log = new WriteAheadLog(options, BUILT_IN_POLICIES, () => 0);
  await readAll(await openLog(log, io, superblock).replay);
  const mark = log.begin(timestamp);
  await log.secure(mark);
  superblock.mark = { timestamp, log: mark };
  await log.discardOld();
  return log;
}

function appendNext(log: WriteAheadLog, timestamp: number): void {
  const record = recordOf(timestamp, 1, 100);
  log.reserveSync(log.sizeOf(record.operations));
  log.commitSync(log.append(record));
}

describe('a reader of the log', () => {
  test('gets the commits that there are, as they were written, and each that comes', async () => {
    const store = await open();
    await commits(store, 3, 300);
    const records = read(store, 0);
    for (let timestamp = 1; timestamp <= 3; timestamp++) {
      const { value } = await records.next();
      assertSameRecord(value as ReplayedRecord, recordOf(timestamp, 0, 300));
    }
    for (let timestamp = 4; timestamp <= 12; timestamp++) {
      const next = records.next();
      await settled();
      await store.commit(5000);
      assertSameRecord((await next).value as ReplayedRecord, recordOf(timestamp, 0, 5000));
    }
    await records.return();
    await store.close({ discard: true });
  });

  test('goes on exactly behind what it has, wherever that is', async () => {
    const store = await open();
    await commits(store, 20);
    expect(store.log.mark().segment).toBeGreaterThan(5);
    for (let after = 0; after <= 20; after++) expect(await allAfter(store, after)).toEqual(upTo(20, after + 1));
    await store.close({ discard: true });
  });

  test('that does not follow ends with what was appended, and waits until that is durable', async () => {
    const store = await open();
    await commits(store, 2, 100);
    for (let i = 0; i < 3; i++) await store.log.commit(store.append(100), { durability: 'none' });
    const records = read(store, 1, { follow: false });
    const first = records.next();
    await store.commit();
    expect((await first).value).toMatchObject({ timestamp: 2 });
    expect(await take(records, 10)).toEqual([3, 4, 5]);
    expect(await allAfter(store, 6)).toEqual([]);
    await store.close({ discard: true });
  });

  test('gets nothing that is not durable', async () => {
    const store = await open();
    await store.commit();
    const given: number[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const { timestamp } of read(store, 0, { signal: ending.signal })) given.push(timestamp);
    })();
    await settled(10);
    expect(given).toEqual([1]);
    store.append(100);
    store.append(100);
    await settled(10);
    expect(given).toEqual([1]);
    store.log.commitSync(store.append(100));
    await settled(10);
    expect(given).toEqual([1, 2, 3, 4]);
    ending.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    await store.close({ discard: true });
  });

  test('has its segments kept, until it has read them, and no longer', async () => {
    const store = await open();
    await commits(store, 4);
    const slow = read(store, 0);
    expect(await take(slow, 2)).toEqual([1, 2]);
    for (let i = 0; i < 5; i++) {
      await commits(store, 4);
      await store.checkpoint();
    }
    const { segment } = store.log.mark();
    expect(segmentsOn(store.disk).length).toBeGreaterThanOrEqual(segment);
    expect(await take(slow, 22)).toEqual(upTo(24, 3));
    await settled(20);
    expect(segmentsOn(store.disk).length).toBeLessThan(6);
    const waiting = slow.next();
    await commits(store, 1);
    expect((await waiting).value).toMatchObject({ timestamp: 25 });
    await slow.return();
    await store.close({ discard: true });
  });

  test('gives up what it keeps when it ends before it has read it', async () => {
    const store = await open();
    await commits(store, 4);
    const slow = read(store, 0);
    await take(slow, 1);
    await commits(store, 12);
    await store.checkpoint();
    expect(segmentsOn(store.disk).length).toBeGreaterThanOrEqual(store.log.mark().segment);
    await slow.return();
    await settled(20);
    expect(segmentsOn(store.disk).length).toBeLessThan(6);
    await store.close({ discard: true });
  });

  test('that keeps more than the limit is told what it has lost, and the others go on', async () => {
    const store = await open({ ...SMALL, readerLimit: 4 * 64 * 1024 });
    await commits(store, 4);
    const [slow, quick] = [read(store, 0), read(store, 0)];
    expect(await take(slow, 1)).toEqual([1]);
    expect(await take(quick, 4)).toEqual(upTo(4));
    for (let i = 1; i <= 6; i++) {
      await commits(store, 4);
      await store.checkpoint();
      expect(await take(quick, 4)).toEqual(upTo(4 + 4 * i, 4 * i + 1));
    }
    await settled(20);
    expect(segmentsOn(store.disk).length).toBeLessThan(8);
    const given: number[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { timestamp } of slow) given.push(timestamp);
      })(),
    );
    expect(given).toEqual([]);
    expect(error).toMatchObject({ code: 'PW_LOG_GONE', details: { after: 1 } });
    await commits(store, 1);
    expect(await take(quick, 1)).toEqual([29]);
    await quick.return();
    await store.close({ discard: true });
  });

  test('that is about to lose what it has not read is seen in what the log tells of itself', async () => {
    const limitBytes = 4 * 64 * 1024;
    const store = await open({ ...SMALL, readerLimit: limitBytes });
    const told = () => store.log.stats().readers;
    expect(told()).toBeNull();
    await commits(store, 4);
    const [slow, quick] = [read(store, 0), read(store, 0)];
    expect(await take(slow, 1)).toEqual([1]);
    expect(await take(quick, 4)).toEqual(upTo(4));
    expect(told()).toMatchObject({ count: 2, limitBytes });
    expect(told()!.behindBytes).toBeLessThan(limitBytes);
    expect(told()!.behindBytes).toBeGreaterThan(store.log.stats().appendedBytes);
    while (told()!.behindBytes <= limitBytes + 64 * 1024) await commits(store, 1);
    expect(store.log.stats().writtenBytes).toBe(store.log.stats().appendedBytes);
    for (let i = 0; i < 2; i++) await store.checkpoint();
    await expect(take(slow, 30)).rejects.toMatchObject({ code: 'PW_LOG_GONE' });
    expect(told()).toMatchObject({ count: 1 });
    await quick.return();
    expect(told()).toBeNull();
    await store.close({ discard: true });
  });

  test('is told when the log does not have what comes next any more, or never had what it claims to have', async () => {
    const store = await open();
    await commits(store, 12);
    await store.checkpoint();
    await expect(allAfter(store, 0)).rejects.toMatchObject({ code: 'PW_LOG_GONE', details: { after: 0 } });
    await expect(allAfter(store, 13)).rejects.toMatchObject({ code: 'PW_ARGUMENT', details: { after: 13, last: 12 } });
    expect(await allAfter(store, 12)).toEqual([]);
    await store.close({ discard: true });
    const again = await reopen(store);
    await expect(allAfter(again, 11)).rejects.toMatchObject({ code: 'PW_LOG_GONE' });
    const records = read(again, 12);
    const next = records.next();
    await settled();
    await again.commit();
    expect((await next).value).toMatchObject({ timestamp: 13 });
    await records.return();
    await again.close({ discard: true });
  });

  test('goes on behind timestamps that recovery left out, and is refused with one of them', async () => {
    const store = await open();
    await commits(store, 3, 100);
    const crashed = { disk: store.disk.afterCrash(dropAll), superblock: store.superblock };
    const log = new WriteAheadLog(SMALL, BUILT_IN_POLICIES, () => 0);
    const again = await LogStore.open(log, crashed.disk, crashed.superblock, 1);
    await log.close({ discard: false });
    const leaping = await openFurtherUp(crashed.disk, again.superblock, 1000, SMALL);
    appendNext(leaping, 1001);
    const given = async (after: number): Promise<[number, number | undefined][]> => {
      const found: [number, number | undefined][] = [];
      for await (const { timestamp, after: left } of leaping.read({ after, follow: false }))
        found.push([timestamp, left]);
      return found;
    };
    expect(await given(3)).toEqual([[1001, 3]]);
    expect(await given(1000)).toEqual([[1001, undefined]]);
    expect(await given(1001)).toEqual([]);
    for (const after of [4, 500, 999])
      await expect(given(after)).rejects.toMatchObject({ code: 'PW_LOG_GONE', details: { after, base: 3 } });
    await expect(given(2)).rejects.toMatchObject({ code: 'PW_LOG_GONE', details: { after: 2 } });
    await leaping.close({ discard: false });
  });

  test('meets damage as an error, and passes over nothing', async () => {
    const store = await open();
    await commits(store, 5);
    const records = read(store, 0);
    expect(await take(records, 1)).toEqual([1]);
    const [, second] = segmentsOn(store.disk);
    store.disk.flip(second as string, 5000, 3);
    const given: number[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { timestamp } of records) given.push(timestamp);
      })(),
    );
    expect(error).toMatchObject({ code: 'PW_CORRUPT_LOG', details: { segment: 2, after: given.at(-1) } });
    expect(given).toEqual(upTo(given.length + 1, 2));
    await store.close({ discard: true });
  });

  test('gets what is durable of a log that fails, and then its error', async () => {
    const store = await open();
    await commits(store, 3, 100);
    const records = read(store, 1);
    expect(await take(records, 2)).toEqual([2, 3]);
    const next = records.next();
    await settled();
    store.disk.inject({
      fault: { kind: 'error', errno: 'EIO' },
      from: 0,
      times: Number.POSITIVE_INFINITY,
      kinds: ['write', 'sync'],
    });
    const commit = store.commit();
    await expect(commit).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    await expect(next).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    await store.log.close({ discard: false });
  });

  test('ends when the log is closed, and is told if it has not had all', async () => {
    const store = await open();
    await commits(store, 4);
    const [done, late] = [read(store, 0), read(store, 0)];
    expect(await take(done, 4)).toEqual(upTo(4));
    expect(await take(late, 1)).toEqual([1]);
    const end = done.next();
    await settled();
    await store.close({ discard: true });
    expect((await end).done).toBe(true);
    const given: number[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { timestamp } of late) given.push(timestamp);
      })(),
    );
    expect(error).toMatchObject({ code: 'PW_CLOSED', details: { after: given.at(-1) ?? 1 } });
    await expect(allAfter(store, 0)).rejects.toMatchObject({ code: 'PW_CLOSED' });
  });

  test('hears of what other threads commit, and is refused in them', async () => {
    const store = await open();
    const { log: other } = await store.attach(new WriteAheadLog(SMALL, BUILT_IN_POLICIES, () => 0));
    const records = read(store, 0);
    for (let i = 1; i <= 8; i++) {
      const next = records.next();
      await settled();
      await store.reserveAndCommit(20_000, other);
      expect((await next).value).toMatchObject({ timestamp: i });
    }
    expect(() => other.read!({ after: 0, follow: false })).toThrow(expect.objectContaining({ code: 'PW_UNSUPPORTED' }));
    await records.return();
    await other.close({ discard: false });
    await store.close({ discard: true });
  });
});

describe('a reader of the log and of its archive', () => {
  const options: WalOptions = { ...SMALL, archive: ARCHIVE, readerLimit: 64 * 1024 };

  test('gets all that there ever was, over openings and crashes', async () => {
    const store = await open(options);
    await commits(store, 10);
    await store.checkpoint();
    expect(await allAfter(store, 0)).toEqual(upTo(10));
    await store.close({ discard: true });
    const second = await reopen(store, options);
    expect(await allAfter(second, 0)).toEqual(upTo(10));
    await commits(second, 10);
    expect(await allAfter(second, 4)).toEqual(upTo(20, 5));
    const third = await openLogStore(second.disk.afterCrash(dropAll), second.superblock, { options, generation: 2 });
    await commits(third, 10);
    await third.checkpoint();
    for (const after of [0, 9, 10, 11, 19, 20, 21, 29, 30]) {
      expect(await allAfter(third, after), `after ${after}`).toEqual(upTo(30, after + 1));
    }
    await third.close({ discard: true });
  });

  test('goes on in the archive when it has fallen behind, and comes back', async () => {
    const store = await open(options);
    const records = read(store, 0);
    await commits(store, 2);
    expect(await take(records, 1)).toEqual([1]);
    for (let i = 0; i < 5; i++) {
      await commits(store, 4);
      await store.checkpoint();
      await settled(20);
    }
    expect(segmentsOn(store.disk).length).toBeLessThan(6);
    expect(await take(records, 21)).toEqual(upTo(22, 2));
    const next = records.next();
    await settled();
    await commits(store, 1);
    expect((await next).value).toMatchObject({ timestamp: 23 });
    await records.return();
    await store.close({ discard: true });
  });

  test('goes on over openings without commits, from what it has', async () => {
    const store = await open(options);
    await commits(store, 3, 100);
    const { superblock } = store;
    let disk = store.disk.afterCrash(dropAll);
    await openFurtherUp(disk, superblock, 1000, options);
    await settled(20);
    disk = disk.afterCrash(dropAll);
    await openFurtherUp(disk, superblock, 2000, options);
    await settled(20);
    disk = disk.afterCrash(dropAll);
    const log = await openFurtherUp(disk, superblock, 3000, options);
    appendNext(log, 3001);
    const given = async (after: number): Promise<number[]> => {
      const found: number[] = [];
      for await (const { timestamp } of log.read({ after, follow: false })) found.push(timestamp);
      return found;
    };
    for (const after of [1, 2, 3, 1000, 2000, 3000, 3001]) {
      expect(await given(after), `after ${after}`).toEqual([2, 3, 3001].filter((each) => each > after));
    }
    await log.close({ discard: false });
  });

  test('is told what is missing when the archive does not have it either', async () => {
    const store = await open(options);
    await commits(store, 10);
    await store.close({ discard: true });
    const [lowest] = store.disk.files().filter((path) => path.startsWith(ARCHIVE));
    store.disk.drop(lowest as string);
    const again = await reopen(store, options);
    const error = await failureOf(allAfter(again, 0));
    expect(error).toMatchObject({ code: 'PW_LOG_GONE', details: { after: 0 }, cause: { code: 'PW_ARCHIVE_GAP' } });
    await again.close({ discard: true });
  });
});

/** What counts, in order, with the generation that wrote it. */
type History = Map<number, number>;

describe('after a crash', () => {
  test('a reader that does not follow ends, though timestamps go on further above', async () => {
    for (const options of [SMALL, { ...SMALL, archive: ARCHIVE }]) {
      const store = await open(options);
      await commits(store, 3, 100);
      const disk = store.disk.afterCrash(dropAll);
      const log = await openFurtherUp(disk, store.superblock, 1000, options);
      for (const after of [3, 1000]) {
        const records = log.read({ after, follow: false });
        const next = records.next();
        expect(await Promise.race([next, settled(100)]), `after ${after}`).toEqual({ done: true, value: undefined });
      }
      await log.close({ discard: false });
    }
  });

  test('a reader is not given what an opening has given up, though it was archived before', async () => {
    const options = { ...SMALL, archive: ARCHIVE };
    const store = await open(options);
    await commits(store, 8, 20_000);
    await settled(20);
    const disk = store.disk.afterCrash(dropAll);
    const [, , third] = segmentsOn(disk);
    disk.flip(third as string, 5000, 3);
    // The copy in the archive is whole, and nothing is archived anew.
    const log = new WriteAheadLog({ ...SMALL, archive: ARCHIVE }, BUILT_IN_POLICIES, () => 0);
    const { superblock } = store;
    const replay = await openLog(log, disk, superblock, { recover: 'stop-before-damage' }).replay;
    const left = (await readAll(replay)).at(-1)?.timestamp ?? 0;
    expect(replay.givenUp()).not.toBeNull();
    const mark = log.begin(1000);
    await log.secure(mark);
    const given: number[] = [];
    for await (const { timestamp } of log.read({ after: 0, follow: false })) given.push(timestamp);
    expect(given).toEqual(upTo(left));
    await log.close({ discard: false });
  });

  test('a reader that waits for the archive is told when that fails', async () => {
    const failing = { ...SMALL, archive: () => Promise.reject(new Error('no tape')) };
    const store = await open(failing);
    await commits(store, 3, 100);
    const disk = store.disk.afterCrash(dropAll);
    const log = await openFurtherUp(disk, store.superblock, 1000, failing);
    const records = log.read({ after: 1, follow: true, archive: ARCHIVE });
    await expect(Promise.race([records.next(), settled(200)])).rejects.toMatchObject({ code: 'PW_LOG_GONE' });
    await log.close({ discard: false });
  });
});

describe('readers at any pace', () => {
  test('get every commit that counts, once and in order, whatever becomes of the store', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED + round;
      try {
        await life(new Random(seed));
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw new Error(`LOG_READ_SEED=${seed} LOG_READ_ROUNDS=1: ${message}`, { cause: error });
      }
    }
  });
});

/** Several openings of a store that is archived, with commits, checkpoints, and readers that resume where they were. */
async function life(random: Random): Promise<void> {
  const policy = random.pick(BUILT_IN_POLICIES).name;
  const options: WalOptions = { ...SMALL, commit: policy, groupWindowMs: 0, archive: ARCHIVE, readerLimit: 128 * 1024 };
  const history: History = new Map();
  const superblock: Superblock = newSuperblock();
  let disk = new SimulatedDevice();
  let positions = [0, 0, 0];
  const lives = random.between(2, 4);
  for (let generation = 0; generation < lives; generation++) {
    const log = new WriteAheadLog(options, BUILT_IN_POLICIES, () => 0);
    const { timestamp: checkpoint } = superblock.mark;
    const store = await LogStore.open(log, disk, superblock, generation);
    forgetLost(history, checkpoint, store.recovered);
    for (const given of positions)
      expect(given === 0 || history.has(given), `${given} was given, and is lost`).toBe(true);
    const readers = positions.map(
      (after) => new RandomReader(store, after, history, new Random(random.below(2 ** 31))),
    );
    const { log: other } = await store.attach(new WriteAheadLog(options, BUILT_IN_POLICIES, () => 0));
    for (let step = random.between(5, 60); step > 0; step--) {
      const size = random.pick([10, 300, 5000, 30_000]);
      const writer = random.chance(0.3) ? other : log;
      await store.reserve(size, writer);
      const commit = writer.commit(store.append(size, writer));
      history.set(store.timestamp, generation);
      commit.catch(() => undefined); // the power may go before it is durable
      if (random.chance(0.7)) await commit;
      else if (random.chance(0.5)) await settled(1);
      if (random.chance(0.1)) await store.checkpoint();
      for (const reader of readers) await reader.step();
    }
    const crashes = random.chance(0.6);
    if (!crashes || random.chance(0.3)) {
      await log.secure(log.mark());
      for (const reader of readers) if (random.chance(0.5)) await reader.drain();
    }
    positions = readers.map(({ last }) => last);
    if (!crashes) {
      for (const reader of readers) await reader.end();
      await other.close({ discard: false });
      await store.close({ discard: true });
    } else {
      disk = disk.afterCrash(random.chance(0.3) ? dropAll : keepSome(random.below(2 ** 31)));
      for (const reader of readers) await reader.end();
    }
  }
  const { timestamp: checkpoint } = superblock.mark;
  const last = await LogStore.open(new WriteAheadLog(options, BUILT_IN_POLICIES, () => 0), disk, superblock, lives);
  forgetLost(history, checkpoint, last.recovered);
  for (const after of [0, ...positions]) {
    const reader = new RandomReader(last, after, history, random);
    await reader.drain();
    await reader.end();
  }
  await last.close({ discard: true });
}

/** Commits that nobody was told of need not be there after a crash. */
function forgetLost(history: History, checkpoint: number, recovered: readonly ReplayedRecord[]): void {
  const found = new Set(recovered.map(({ timestamp }) => timestamp));
  for (const timestamp of history.keys()) {
    if (timestamp > checkpoint && !found.has(timestamp)) history.delete(timestamp);
  }
}

class RandomReader {
  readonly #records: AsyncGenerator<ReplayedRecord, void, void>;
  #next: Promise<IteratorResult<ReplayedRecord, void>> | null = null;

  constructor(
    private readonly store: LogStore,
    public last: number,
    private readonly history: History,
    private readonly random: Random,
  ) {
    this.#records = read(store, last);
  }

  /** Takes some, if there are any. */
  async step(): Promise<void> {
    for (let count = this.random.below(4); count > 0; count--) {
      const next = this.#asked();
      const got = await Promise.race([next, settled(this.random.between(1, 3))]);
      if (got === undefined) return;
      this.#take(got);
    }
  }

  async drain(): Promise<void> {
    while (this.last < this.store.timestamp) this.#take(await this.#asked());
  }

  async end(): Promise<void> {
    this.#next?.catch(() => undefined);
    void this.#records.return().catch(() => undefined);
  }

  #asked(): Promise<IteratorResult<ReplayedRecord, void>> {
    this.#next ??= this.#records.next();
    return this.#next;
  }

  #take({ done, value }: IteratorResult<ReplayedRecord, void>): void {
    this.#next = null;
    expect(done, `after ${this.last}`).toBe(false);
    const { timestamp } = value as ReplayedRecord;
    const wanted = [...this.history.keys()].find((each) => each > this.last);
    expect(timestamp).toBe(wanted);
    const key = new TextDecoder().decode(firstOf(value as ReplayedRecord).key);
    expect(key.split('/').slice(0, 2).join('/')).toBe(`${timestamp}/${this.history.get(timestamp)}`);
    this.last = timestamp;
  }
}
