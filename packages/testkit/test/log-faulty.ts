/** Logs with planted faults: a sound one of which something was replaced, for the tests of the log suite. */
import {
  type ErrorCode,
  type IoBackend,
  type IoFile,
  isPagewrightError,
  type Log,
  type LogAttachRequest,
  type LogReplay,
  type ReplayedRecord,
} from '@pagewright/core';
import { type WalOptions, WriteAheadLog } from '@pagewright/wal';
import { brokenClauses, logSuite, type NewLog } from '../src/index.js';
import { over } from './over.js';

export const SMALL: WalOptions = { segmentSize: '64KiB', maxRecordSize: '1MiB', bufferLimit: '64KiB' };
export const create: NewLog = (archive) => new WriteAheadLog({ ...SMALL, archive });

/** The ids of the clauses that the log breaks. */
export async function brokenBy(faulty: NewLog, ids?: readonly string[]): Promise<string[]> {
  const factory = { create: () => faulty };
  const broken = await brokenClauses(
    logSuite,
    factory,
    { recycles: true, threads: true, reads: true, archives: true },
    ids && new Set(ids),
  );
  return broken.map(({ id }) => id);
}

/** A sound log with some of its methods replaced. */
export function changed(change: (log: Log) => Partial<Log>): NewLog {
  return (archive) => {
    const log = create(archive);
    return over(log, change(log));
  };
}

/** A sound log with some of its methods replaced in threads that attach to it. */
export function inOthers(change: (log: Log) => Partial<Log>): NewLog {
  return (archive) => {
    const log = create(archive);
    const faulty = over(log, change(log));
    let current: Log = log;
    const attach = async (request: LogAttachRequest) => {
      await log.attach(request);
      current = faulty;
    };
    return new Proxy(log, {
      get(_, name) {
        if (name === 'attach') return attach;
        const value: unknown = Reflect.get(current, name, current);
        return typeof value === 'function' ? value.bind(current) : value;
      },
    });
  };
}

/** A log on files of which some methods were replaced. */
export function onFiles(change: Partial<IoFile> | ((file: IoFile) => Partial<IoFile>)): NewLog {
  return changed((log) => ({ open: (request) => log.open({ ...request, io: withFiles(request.io, change) }) }));
}

export function withFiles(io: IoBackend, change: Partial<IoFile> | ((file: IoFile) => Partial<IoFile>)): IoBackend {
  const withChanges = (file: IoFile): IoFile => {
    const changes = typeof change === 'function' ? change(file) : change;
    const faulty: IoFile = over(file, {
      // A batch goes through the same write and sync.
      submit: async (operations, options) => {
        await file.submit(operations);
        if (options?.sync === true) await faulty.sync();
      },
      submitSync: (operations, options) => {
        file.submitSync(operations);
        if (options?.sync === true) faulty.syncSync();
      },
      ...changes,
    });
    return faulty;
  };
  return over(io, {
    open: async (path, flags) => withChanges(await io.open(path, flags)),
    openSync: (path, flags) => withChanges(io.openSync(path, flags)),
  });
}

/** What changes the records of a replay. */
export type Records = (
  replay: LogReplay,
  records: AsyncIterable<ReplayedRecord>,
) => AsyncGenerator<ReplayedRecord, void, void>;

export async function* dropLast(_: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  let before: ReplayedRecord | null = null;
  for await (const record of records) {
    if (before !== null) yield before;
    before = record;
  }
}

export async function* repeatLast(_: LogReplay, records: AsyncIterable<ReplayedRecord>) {
  let last: ReplayedRecord | null = null;
  for await (const record of records) {
    last = record;
    yield record;
  }
  if (last !== null) yield last;
}

/** Ends in silence where there is this error. */
export function endAt(code: ErrorCode): Records {
  return async function* (_, records) {
    try {
      yield* records;
    } catch (error) {
      if (!isPagewrightError(error, code)) throw error;
    }
  };
}
