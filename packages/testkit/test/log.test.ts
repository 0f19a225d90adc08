/** The log suite finds each fault that was planted in a log, or in the device under it, and nothing in a sound one. */
import type {
  ArchiveFunction,
  CommitRecord,
  GivenUp,
  IoBackend,
  IoFile,
  IoOperation,
  Log,
  LogAttachRequest,
  LogOpenRequest,
  LogReadRequest,
  LogReplay,
  ReplayedRecord,
} from '@pagewright/core';
import { isPagewrightError } from '@pagewright/core';
import { WriteAheadLog } from '@pagewright/wal';
import { describe, expect, test } from 'vitest';
import { logSuite, type NewLog } from '../src/index.js';
import {
  brokenBy,
  changed,
  create,
  dropLast,
  endAt,
  inOthers,
  onFiles,
  type Records,
  repeatLast,
  SMALL,
  withFiles,
} from './log-faulty.js';
import { over } from './over.js';

describe('the log suite', () => {
  test('finds nothing in a sound log', async () => {
    expect(await brokenBy((archive) => new WriteAheadLog({ ...SMALL, commit: 'sync', archive }))).toEqual([]);
  });

  test.each<[string, NewLog, string[]]>([
    [
      'acknowledges before the sync',
      changed((log) => ({
        commit: async (position) => {
          log.commit(position).catch(() => undefined);
        },
      })),
      ['acknowledged-is-durable', 'waits-for-the-device', 'crash-anywhere', 'many-lives', 'failed-sync'],
    ],
    [
      'takes a commit in place for durable when a flush is under way',
      changed((log) => {
        let waiting = 0;
        return {
          commit: (position) => {
            waiting++;
            return log.commit(position).finally(() => waiting--);
          },
          commitSync: (position) => {
            if (waiting === 0) log.commitSync(position);
          },
        };
      }),
      ['in-place-during-flush'],
    ],
    [
      'does not sync',
      onFiles({ sync: async () => undefined, syncSync: () => undefined }),
      ['acknowledged-is-durable', 'crash-anywhere'],
    ],
    [
      'swallows a sync that failed',
      onFiles((file) => ({ sync: () => file.sync().catch(() => undefined) })),
      ['failed-sync', 'failed-write-back', 'failure-is-told'],
    ],
    [
      'tries a failed write again',
      onFiles((file) => ({
        submit: (operations, options) => file.submit(operations, options).catch(() => file.submit(operations, options)),
      })),
      ['failed-write', 'failed-sync'],
    ],
    ['does not know the time', onReplay(withTime(() => 0)), ['tells-the-time']],
    [
      'tells times in reverse',
      onReplay(withTime(({ time, timestamp }) => time - 1000 * timestamp)),
      ['tells-the-time'],
    ],
    ['drops the last record', onReplay(dropLast), ['round-trip', 'close-keeps', 'crash-anywhere']],
    ['gives a record twice', onReplay(repeatLast), ['in-order', 'round-trip', 'crash-anywhere']],
    ['gives a record that was torn', onReplay(inventTorn), ['holes-are-cut', 'the-dead-stay-dead']],
    ['gives what is below the checkpoint as well', ignoresTimestamp, ['above-the-checkpoint']],
    [
      'ends the replay in silence where it is damaged',
      onReplay(endAt('PW_CORRUPT_LOG')),
      ['flipped-bits', 'cut-short', 'missing-files', 'damage-before-the-end'],
    ],
    [
      'refuses damage, whatever it is asked',
      changed((log) => ({ open: (request) => log.open({ ...request, recover: 'all' }) })),
      ['stops-before-damage'],
    ],
    ['gives up one more than it must', onReplay(dropLast), ['stops-before-damage']],
    ['does not say what it gives up', onFound({ givenUp: () => null }), ['stops-before-damage']],
    [
      'says that all it gives up is whole',
      onFound((replay) => ({ givenUp: () => allWhole(replay.givenUp()) })),
      ['stops-before-damage'],
    ],
    ['uses timestamps again', onFound({ lastTimestamp: () => 0 }), ['new-timestamps']],
    [
      'begins with any timestamp',
      changed((log) => ({ begin: (timestamp) => log.begin(Math.max(3, timestamp ?? 0)) })),
      ['new-timestamps'],
    ],
    ['leaves timestamps out in silence', onReplay(withoutAfter), ['new-timestamps']],
    ['does not say how far it is', onFound({ passedBytes: () => 0 }), ['tells-how-far']],
    ['takes a missing log for an empty one', takesMissingForEmpty, ['missing-files']],
    ['says that nothing was torn', onReplay(untouched, 0), ['holes-are-cut']],
    ['loses empty values', onReplay(emptyAsMissing), ['round-trip']],
    ['keeps references to what it was given', keepsReferences, ['keeps-no-reference']],
    [
      'recycles what a replay needs',
      changed((log) => ({ recycle: () => log.recycle(log.mark()) })),
      ['recycle-keeps-what-follows', 'recycle-own-marks'],
    ],
    ['never recycles', changed(() => ({ recycle: async () => undefined })), ['recycle-gives-back']],
    [
      'gives readers what it has not made durable yet',
      changed((log) => {
        const given: ReplayedRecord[] = [];
        return {
          append: (record) => {
            given.push({ ...record, operations: [...record.operations], time: 0 });
            return log.append(record);
          },
          read: (request) => tellAppended(given, request),
        };
      }),
      ['reads-durable'],
    ],
    [
      'gives readers the commit again that they have',
      changed((log) => ({ read: (request) => log.read!({ ...request, after: Math.max(0, request.after - 1) }) })),
      ['reads-all', 'reads-on'],
    ],
    [
      'leaves commits out for readers',
      changed((log) => ({ read: (request) => withoutSome(log.read!(request)) })),
      ['reads-all', 'reads-follow', 'reads-keep'],
    ],
    [
      'ends at once for readers that follow',
      changed((log) => ({ read: (request) => log.read!({ ...request, follow: false }) })),
      ['reads-follow', 'reads-keep'],
    ],
    ['keeps nothing for readers', () => new WriteAheadLog({ ...SMALL, readerLimit: '64KiB' }), ['reads-keep']],
    [
      'does not hear of the end of the log when it is read',
      changed((log) => ({ read: (request) => neverEnding(log.read!(request), request) })),
      ['reads-end'],
    ],
    [
      'passes over what readers can have no more',
      changed((log) => ({ read: (request) => fromWhereItCan(log, request) })),
      ['reads-on'],
    ],
    ['secures nothing', changed(() => ({ secure: async () => undefined })), ['secure']],
    ['does not remove the log before it', changed(() => ({ discardOld: async () => undefined })), ['new-incarnation']],
    [
      'keeps its files when they are to go',
      changed((log) => ({ close: () => log.close({ discard: false }) })),
      ['close-discards', 'many-lives'],
    ],
    [
      'removes its files when they are to stay',
      changed((log) => ({ close: () => log.close({ discard: true }) })),
      ['close-keeps', 'many-lives'],
    ],
    [
      'does not flush on close',
      changed((log) => ({ close: async ({ discard }) => (discard ? log.close({ discard }) : undefined) })),
      ['close-keeps', 'closed'],
    ],
    [
      'opens for writing when it is to read only',
      changed((log) => ({ open: (request) => log.open({ ...request, readOnly: false }) })),
      ['read-only'],
    ],
    [
      'writes when it is opened',
      changed((log) => ({
        open: async (request) => {
          await request.io.makeDirectory(request.directory);
          return log.open(request);
        },
      })),
      ['opens-nothing', 'opening-writes-nothing'],
    ],
    ['trusts what was never synced', trustsPageCache, ['not-trusted-unsynced']],
    [
      'tells of a failure twice',
      changed((log) => ({
        open: (request) =>
          log.open({
            ...request,
            onFailure: (error) => {
              request.onFailure(error);
              request.onFailure(error);
            },
          }),
      })),
      ['failed-write', 'failure-is-told'],
    ],
    [
      'tells of no failure',
      changed((log) => ({ open: (request) => log.open({ ...request, onFailure: () => undefined }) })),
      ['failed-sync', 'failure-is-told'],
    ],
    [
      'reserves nothing',
      changed(() => ({ reserve: async () => undefined, reserveSync: () => undefined })),
      ['too-large', 'reserved-is-enough'],
    ],
    [
      'appends before it is sure of the room',
      changed((log) => {
        let timestamp = 0;
        return {
          append: (record) => {
            timestamp = record.timestamp;
            return log.append(record);
          },
          reserveSync: (bytes) => {
            try {
              log.reserveSync(bytes);
            } catch (error) {
              if (isPagewrightError(error, 'PW_FULL')) log.append({ ...NOTHING, timestamp: ++timestamp });
              throw error;
            }
          },
        };
      }),
      ['full-device'],
    ],
    ['does not see that the log went on in another', seesOneIncarnation, ['older-superblock']],
    [
      'acknowledges before the sync in threads that attached',
      inOthers((log) => ({
        commit: async (position) => {
          log.commit(position).catch(() => undefined);
        },
      })),
      [
        'flushes-what-others-appended',
        'waits-for-the-device-threads',
        'fails-for-all',
        'crash-anywhere-threads',
        'many-lives-threads',
      ],
    ],
    [
      "leaves a commit in place to another thread's flush",
      leavesToOthers,
      ['waits-for-no-thread', 'in-place-during-flush'],
    ],
    ['has another stream in each thread', countsAlone, ['one-stream']],
    ['keeps what a thread appends to that thread until it flushes', keepsReferences, ['ended-thread', 'one-stream']],
    ['uses the memory of writes under way again', reusesMemory, ['late-writes-do-no-harm']],
    [
      'does not tell other threads of a failure',
      onAttach(({ handle, ...request }) => ({ ...request, handle: withMemoryOfItsOwn(handle, 'failure') })),
      ['fails-for-all'],
    ],
    [
      'tells of a failure in the thread alone that met it',
      onAttach((request) => ({ ...request, onFailure: () => undefined })),
      ['fails-for-all'],
    ],
    [
      'reserves nothing in threads that attached',
      inOthers(() => ({ reserveSync: () => undefined })),
      ['reserved-is-kept'],
    ],
    [
      'counts what each thread has reserved for itself',
      onAttach(({ handle, ...request }) => ({ ...request, handle: withMemoryOfItsOwn(handle, 'slots') })),
      ['reserved-is-kept'],
    ],
    ['keeps what was reserved and not used', keepsReservations, ['reserved-and-not-used']],
    ['finds only files that the same thread has made', onAttach(withFilesOfItsOwn), ['segments-of-others']],
    [
      'does not flush when a thread closes it',
      inOthers(() => ({ close: async () => undefined })),
      ['close-ends-a-thread'],
    ],
    ['removes its files when a thread closes it', removesOnDetach, ['close-ends-a-thread', 'archives-of-all']],
    [
      'goes on for others when its owner has closed it',
      inOthers((log) => ({ reserve: (bytes) => log.reserve(bytes).catch(() => undefined) })),
      ['owner-closes-for-all'],
    ],
    [
      'lets any thread give segments up',
      inOthers((log) => ({ recycle: async () => void log.stats() })),
      ['of-the-owner'],
    ],
    [
      'attaches to whatever it is given',
      changed((log) => ({ attach: (request) => log.attach(request).catch(() => undefined) })),
      ['of-the-owner', 'owner-closes-for-all'],
    ],
    ['says a wrong size', changed((log) => ({ sizeOf: (operations) => log.sizeOf(operations) - 8 })), ['sizes']],
  ])('finds a log that %s', async (_, faulty, clauses) => {
    expect(await brokenBy(faulty, clauses)).toEqual(
      logSuite.clauses.map(({ id }) => id).filter((id) => clauses.includes(id)),
    );
  });
});

function onAttach(change: (request: LogAttachRequest) => LogAttachRequest): NewLog {
  return changed((log) => ({ attach: async (request) => log.attach(change(request)) }));
}

/** The handle with a part of its memory copied, so that this thread does not see what the others do there. */
function withMemoryOfItsOwn(handle: unknown, part: string): unknown {
  const { memory, ...rest } = (handle ?? {}) as { readonly memory?: Record<string, SharedArrayBuffer> };
  return memory === undefined ? handle : { ...rest, memory: { ...memory, [part]: memory[part]?.slice(0) } };
}

function withFilesOfItsOwn(request: LogAttachRequest): LogAttachRequest {
  const { io } = request;
  const made = new Set<string>();
  const assertMade = (path: string) => {
    if (!made.has(path)) throw new Error(`${path} was made by another thread`);
  };
  const open: IoBackend['open'] = async (path, flags) => {
    if (flags.create === true) made.add(path);
    assertMade(path);
    return io.open(path, flags);
  };
  const openSync: IoBackend['openSync'] = (path, flags) => {
    assertMade(path);
    return io.openSync(path, flags);
  };
  return { ...request, io: over(io, { open, openSync }) };
}

/** While any thread waits for a flush, a commit in place counts on that. */
let flushesOfAll = 0;
function leavesToOthers(): Log {
  const log = create();
  return over(log, {
    commit: (position) => {
      flushesOfAll++;
      return log.commit(position).finally(() => flushesOfAll--);
    },
    commitSync: (position) => {
      if (flushesOfAll === 0) log.commitSync(position);
    },
  });
}

/** Counts what went through this thread. */
function countsAlone(): Log {
  const log = create();
  let records = 0;
  return over(log, {
    append: (record) => {
      records++;
      return log.append(record);
    },
    stats: () => ({ ...log.stats(), records }),
  });
}

/** Fills the memory of all batches that are under way, in any thread, when another is written in place. */
const underWay = new Set<Uint8Array>();
function reusesMemory(): Log {
  const onFile = (file: IoFile): Partial<IoFile> => ({
    submit: async (operations: readonly IoOperation[], options) => {
      for (const { buffer } of operations) underWay.add(buffer);
      await file.submit(operations, options).finally(() => {
        for (const { buffer } of operations) underWay.delete(buffer);
      });
    },
    submitSync: (operations, options) => {
      for (const buffer of underWay) buffer.fill(0xee);
      file.submitSync(operations, options);
    },
  });
  const log = create();
  return over(log, {
    open: (request) => log.open({ ...request, io: withFiles(request.io, onFile) }),
    attach: (request) => log.attach({ ...request, io: withFiles(request.io, onFile) }),
  });
}

/** A thread that has reserved room goes on to have it reserved. */
let keepers: (() => void)[] = [];
function keepsReservations(): Log {
  const log = create();
  let kept = 0;
  return over(log, {
    begin: (timestamp?: number) => {
      keepers = [];
      return log.begin(timestamp);
    },
    attach: async (request) => {
      await log.attach(request);
      keepers.push(() => kept > 0 && log.reserveSync(kept));
    },
    reserveSync: (bytes) => {
      kept = Math.max(kept, bytes);
      for (const keep of keepers) keep();
      log.reserveSync(bytes);
    },
  });
}

/** Ends a thread's use as if it were the owner's. */
function removesOnDetach(archive?: ArchiveFunction): Log {
  const log = create(archive);
  let detach: (() => Promise<void>) | null = null;
  return over(log, {
    attach: async (request) => {
      await log.attach(request);
      const directory = '/store/app.pw-wal';
      detach = async () => {
        for (const name of await request.io.list(directory)) await request.io.remove(`${directory}/${name}`);
      };
    },
    close: async (options) => {
      await log.close(options);
      if (options.discard) await detach?.();
    },
  });
}

/** A log whose replay goes through a filter. */
function onReplay(filter: Records, torn?: number): NewLog {
  return changed((log) => ({
    open: async (request) => {
      const replay = await log.open(request);
      return over(replay, {
        records: () => filter(replay, replay.records()),
        tornBytes: () => torn ?? replay.tornBytes(),
      });
    },
  }));
}

/** A log whose replay says something else than it should. */
function onFound(change: Partial<LogReplay> | ((replay: LogReplay) => Partial<LogReplay>)): NewLog {
  return changed((log) => ({
    open: async (request) => {
      const replay = await log.open(request);
      return over(replay, typeof change === 'function' ? change(replay) : change);
    },
  }));
}

function allWhole(givenUp: GivenUp | null): GivenUp | null {
  if (givenUp === null || givenUp.last === null) return givenUp;
  const { first, last } = givenUp;
  return { ...givenUp, whole: [{ first, last }] };
}

async function* withoutAfter(_: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  for await (const { after: _after, ...record } of records) yield record;
}

async function* untouched(_: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  yield* records;
}

function withTime(timeOf: (record: ReplayedRecord) => number): Records {
  return async function* (_, records) {
    for await (const record of records) yield { ...record, time: timeOf(record) };
  };
}

async function* inventTorn(replay: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  let timestamp = 0;
  for await (const record of records) {
    timestamp = record.timestamp;
    yield record;
  }
  if (replay.tornBytes() > 0) yield { ...NOTHING, timestamp: timestamp + 1 };
}

async function* emptyAsMissing(_: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  for await (const record of records) {
    yield { ...record, operations: [...record.operations].filter(({ key, value }) => key.length + value.length > 0) };
  }
}

/** Replays from the mark, and does not look at the timestamp of the superblock. */
function ignoresTimestamp(): Log {
  const log = create();
  const open = (request: LogOpenRequest) => {
    const { log: place, timestamp } = request.state.mark;
    const mark = { log: place, timestamp: Math.max(0, timestamp - 1) };
    return log.open({ ...request, state: { ...request.state, mark } });
  };
  return over(log, { open });
}

function takesMissingForEmpty(): Log {
  const log = create();
  const open = async (request: LogOpenRequest) => {
    if ((await request.io.list(request.directory)).length > 0) return log.open(request);
    const mark = { ...request.state.mark, log: { incarnation: 0, segment: 0, offset: 0 } };
    return log.open({ ...request, state: { ...request.state, mark } });
  };
  return over(log, { open });
}

/** Looks only at the files of the log that the superblock names. */
function seesOneIncarnation(): Log {
  const log = create();
  const open = (request: LogOpenRequest) => {
    const named = request.state.mark.log.incarnation.toString(16).padStart(8, '0');
    const list = async (directory: string) =>
      (await request.io.list(directory)).filter((name) => name.startsWith(named));
    return log.open({ ...request, io: over(request.io, { list }) });
  };
  return over(log, { open });
}

/** Syncs nothing of what it found: the files that recovery opens. */
function trustsPageCache(): Log {
  const log = create();
  let begun = false;
  const open = (request: LogOpenRequest) =>
    log.open({
      ...request,
      io: withFiles(request.io, (file) => ({ sync: async () => (begun ? file.sync() : undefined) })),
    });
  const begin = (timestamp?: number) => {
    begun = true;
    return log.begin(timestamp);
  };
  return over(log, { open, begin });
}

/** Encodes a record when it is flushed, and not when it is appended. */
function keepsReferences(): Log {
  const log = create();
  let kept: CommitRecord[] = [];
  let position = 0;
  const flush = () => {
    for (const record of kept.splice(0)) position = log.append(record);
    kept = [];
    return position;
  };
  return over(log, {
    append: (record) => {
      kept.push(record);
      return position + log.sizeOf(record.operations);
    },
    commit: () => log.commit(flush()),
    commitSync: () => log.commitSync(flush()),
  });
}

const NOTHING: ReplayedRecord = { timestamp: 0, dependsOn: 0, time: 0, operations: [] };

async function* tellAppended(
  appended: readonly ReplayedRecord[],
  { after, follow, signal }: LogReadRequest,
): AsyncGenerator<ReplayedRecord, void, void> {
  let last = after;
  while (signal?.aborted !== true) {
    const next = appended.find(({ timestamp }) => timestamp > last);
    if (next === undefined && !follow) return;
    if (next === undefined) await new Promise((resolve) => setImmediate(resolve));
    else {
      last = next.timestamp;
      yield next;
    }
  }
  throw signal.reason;
}

async function* withoutSome(records: AsyncIterable<ReplayedRecord>): AsyncGenerator<ReplayedRecord, void, void> {
  for await (const record of records) if (record.timestamp % 5 !== 0) yield record;
}

async function* neverEnding(
  records: AsyncIterable<ReplayedRecord>,
  { follow }: LogReadRequest,
): AsyncGenerator<ReplayedRecord, void, void> {
  yield* records;
  if (follow) await new Promise(() => undefined);
}

/** What comes next, wherever that is. */
async function* fromWhereItCan(log: Log, request: LogReadRequest): AsyncGenerator<ReplayedRecord, void, void> {
  for (let { after } = request; ; after++) {
    try {
      yield* log.read!({ ...request, after });
      return;
    } catch (error) {
      if (!isPagewrightError(error, 'PW_LOG_GONE')) throw error;
    }
  }
}
