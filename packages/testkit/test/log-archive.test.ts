/** The log suite finds each fault that was planted in what archives a log, in its end, and in what replays an archive. */
import {
  type ArchiveFunction,
  type ArchiveReplay,
  type ArchiveReplayRequest,
  type ArchiveSource,
  type IoBackend,
  isPagewrightError,
  type Log,
} from '@pagewright/core';
import { describe, expect, test } from 'vitest';
import { logSuite, type NewLog } from '../src/index.js';
import { LOG_DIRECTORY, STORE_ID } from '../src/rig.js';
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
} from './log-faulty.js';
import { over } from './over.js';

describe('the log suite, of archives', () => {
  test.each<[string, NewLog, string[]]>([
    ['archives nothing', () => create(), ['archives-all', 'archives-lives', 'archives-of-all', 'seal-ends']],
    [
      'leaves a segment out',
      archiving((archive) => async (segment) => {
        if (segment.segment !== 2) await archive(segment);
      }),
      ['archives-all', 'archives-lives', 'archives-of-all', 'archives-later'],
    ],
    [
      'takes for archived what the archive refuses',
      archiving((archive) => (segment) => archive(segment).catch(() => undefined)),
      ['archives-later'],
    ],
    ['archives two segments at a time', archiving(twoAtATime), ['archives-all', 'archives-later']],
    ['archives other bytes when it archives a segment again', archiving(otherBytesLater), ['archives-lives']],
    [
      'says that a segment has fewer bytes than it has',
      archiving((archive) => (segment) => archive(over(segment, { bytes: segment.bytes - 8 }))),
      ['archives-all', 'archives-durable'],
    ],
    [
      'does not say that the log ends in a segment',
      archiving((archive) => (segment) => archive(over(segment, { complete: true }))),
      ['archives-all'],
    ],
    [
      'says that a segment ends with another commit',
      archiving((archive) => (segment) => archive(over(segment, { lastTimestamp: (segment.lastTimestamp ?? 0) + 1 }))),
      ['archives-all'],
    ],
    [
      'archives what it has not synced',
      onFiles({ sync: async () => undefined, syncSync: () => undefined }),
      ['archives-durable'],
    ],
    ['removes what a crash has left before it is archived', removing('discardOld'), ['archives-lives', 'seal-ends']],
    [
      'closes though the archive refuses what is left',
      changed((log) => ({ close: (options) => log.close(options).catch(() => undefined) })),
      ['archives-later'],
    ],
    ['removes its files though the archive refuses them', removing('close'), ['archives-later']],
    ['gives what a recovery has cut', onRecords(withLeftOut), ['archives-lives']],
    ['is not sealed', changed(() => ({ seal: async () => undefined })), ['seal-is-durable', 'seal-ends']],
    [
      'does not wait for the end to be durable',
      changed((log) => ({
        seal: async (timestamp) => {
          log.seal?.(timestamp).catch(() => undefined);
        },
      })),
      ['seal-is-durable', 'seal-ends'],
    ],
    [
      'says that it ends with another commit',
      changed((log) => ({ seal: async (timestamp) => log.seal?.(Math.min(timestamp, 3)) })),
      ['seal-ends'],
    ],
    [
      'cannot be sealed twice',
      changed((log) => {
        let isSealed = false;
        return {
          seal: async (timestamp) => {
            if (isSealed) throw new Error('It was sealed before.');
            isSealed = true;
            await log.seal?.(timestamp);
          },
        };
      }),
      ['seal-is-durable'],
    ],
    ['is sealed by any thread', inOthers(() => ({ seal: async () => undefined })), ['seal-of-the-owner']],
    [
      'gives what the backup has',
      onRequest(({ timestamp }) => ({ timestamp: Math.max(0, timestamp - 1) })),
      ['replays-archive-until'],
    ],
    [
      'leaves out the last commit',
      onRecords(dropLast),
      ['replays-archive-until', 'replays-archive-date', 'archives-all'],
    ],
    ['gives the last commit twice', onRecords(repeatLast), ['replays-archive-until', 'archives-all']],
    [
      'does not end where it is told',
      onRequest(() => ({ until: null })),
      ['replays-archive-until', 'replays-archive-date'],
    ],
    [
      'ends one commit too late',
      onRequest(({ until }) => ({ until: typeof until === 'number' ? until + 1 : until })),
      ['replays-archive-until', 'replays-archive-gaps'],
    ],
    [
      'takes what it cannot come to for the end',
      inSilence('PW_RESTORE_POINT'),
      ['replays-archive-until', 'replays-archive-date'],
    ],
    [
      'takes every date for the end',
      onRequest(({ until }) => ({ until: until instanceof Date ? null : until })),
      ['replays-archive-date'],
    ],
    ['does not say when the last commit was made', onReplay({ lastTime: 0 }), ['replays-archive-date']],
    ['does not count segments', onReplay({ segments: 0 }), ['replays-archive-date']],
    ['says that there are more segments', onReplay({ totalSegments: 99 }), ['replays-archive-date']],
    ['finds nothing in directories', onRequest(withoutDirectories), ['replays-archive-directory']],
    ['counts on the order of names', onRequest(inOrderAlone), ['replays-archive-directory']],
    [
      'reads what is no segment',
      changed((log) => ({ replayArchive: (request) => readAllFirst(log, request) })),
      ['replays-archive-directory'],
    ],
    [
      'writes when it replays an archive',
      changed((log) => ({
        replayArchive: async (request) => {
          await request.io.makeDirectory('/archive/more');
          return replayOf(log, request);
        },
      })),
      ['replays-archive-directory'],
    ],
    [
      'ends in silence where a segment is missing',
      inSilence('PW_ARCHIVE_GAP'),
      ['replays-archive-gaps', 'replays-archive-of-the-store'],
    ],
    ['ends in silence where a segment is damaged', inSilence('PW_CORRUPT_LOG'), ['replays-archive-damage']],
    [
      'replays what another store has archived',
      onRequest(() => ({ storeId: STORE_ID })),
      ['replays-archive-of-the-store'],
    ],
    [
      'chooses one of two copies of a store',
      changed((log) => ({ replayArchive: (request) => chooseOne(log, request) })),
      ['replays-archive-of-the-store'],
    ],
  ])('finds a log that %s', async (_, faulty, clauses) => {
    expect(await brokenBy(faulty, clauses)).toEqual(
      logSuite.clauses.map(({ id }) => id).filter((id) => clauses.includes(id)),
    );
  });
});

/** A log that calls what archives it another way. */
function archiving(change: (archive: ArchiveFunction) => ArchiveFunction): NewLog {
  return (archive) => create(archive && change(archive));
}

/** Keeps one back until the next one comes. */
function twoAtATime(archive: ArchiveFunction): ArchiveFunction {
  let kept: Parameters<ArchiveFunction>[0] | null = null;
  return async (segment) => {
    if (kept === null) {
      kept = segment;
      return;
    }
    const both = [kept, segment];
    kept = null;
    await Promise.all(both.map(archive));
  };
}

const archivedBefore = new Set<string>();
function otherBytesLater(archive: ArchiveFunction): ArchiveFunction {
  return async (segment) => {
    const isAgain = archivedBefore.has(segment.name);
    archivedBefore.add(segment.name);
    const read: typeof segment.read = async function* () {
      for await (const chunk of segment.read()) yield isAgain ? chunk.map((byte) => byte ^ 1) : chunk;
    };
    await archive(over(segment, { read }));
  };
}

/** Removes all files of the log before it is told to discard old ones, or when it is closed and the archive refuses what is left. */
function removing(when: 'discardOld' | 'close'): NewLog {
  return changed((log) => {
    let io: IoBackend | null = null;
    let own = '';
    const remove = async (): Promise<void> => {
      for (const name of (await io?.list(LOG_DIRECTORY)) ?? [])
        if (own === '' || !name.startsWith(own)) await io?.remove(`${LOG_DIRECTORY}/${name}`);
    };
    return {
      open: (request) => {
        ({ io } = request);
        return log.open(request);
      },
      discardOld: async () => {
        own = log.mark().incarnation.toString(16).padStart(8, '0');
        if (when === 'discardOld') await remove();
        await log.discardOld();
      },
      close: async (options) => {
        try {
          await log.close(options);
        } catch (error) {
          own = '';
          if (when === 'close') await remove();
          throw error;
        }
      },
    };
  });
}

async function replayOf(log: Log, request: ArchiveReplayRequest): Promise<ArchiveReplay> {
  if (log.replayArchive === undefined) throw new Error('The log has no replayArchive().');
  return log.replayArchive(request);
}

/** A log that replays something else than it is asked for. */
function onRequest(change: (request: ArchiveReplayRequest) => Partial<ArchiveReplayRequest>): NewLog {
  return changed((log) => ({ replayArchive: (request) => replayOf(log, { ...request, ...change(request) }) }));
}

/** A log whose replay of an archive says something else than it should. */
function onReplay(change: Partial<ArchiveReplay> | ((replay: ArchiveReplay) => Partial<ArchiveReplay>)): NewLog {
  return changed((log) => ({
    replayArchive: async (request) => {
      const replay = await replayOf(log, request);
      return over(replay, typeof change === 'function' ? change(replay) : change);
    },
  }));
}

function onRecords(filter: Records): NewLog {
  return onReplay((replay) => ({ records: () => filter(replay, replay.records()) }));
}

/** A commit is there where timestamps are left out. */
const withLeftOut: Records = async function* (_, records) {
  for await (const record of records) {
    const { after, ...rest } = record;
    if (after !== undefined) yield { ...rest, timestamp: after + 1 };
    yield record;
  }
};

/** A log that ends where there is this error, or has nothing. */
function inSilence(code: 'PW_RESTORE_POINT' | 'PW_ARCHIVE_GAP' | 'PW_CORRUPT_LOG'): NewLog {
  return changed((log) => ({
    replayArchive: async (request) => {
      try {
        const replay = await replayOf(log, request);
        return over(replay, { records: () => endAt(code)(replay, replay.records()) });
      } catch (error) {
        if (!isPagewrightError(error, code)) throw error;
        return { ...NOTHING, records: async function* () {} };
      }
    },
  }));
}

const NOTHING: Omit<ArchiveReplay, 'records'> = {
  bytes: 0,
  segments: 0,
  totalSegments: 0,
  lastTime: null,
  passedBytes: () => 0,
  tornBytes: () => 0,
  lastTimestamp: () => 0,
  givenUp: () => null,
};

function withoutDirectories({ archive }: ArchiveReplayRequest): Partial<ArchiveReplayRequest> {
  return typeof archive === 'string' ? { archive: { list: () => [], read: () => Promise.reject(archive) } } : {};
}

/** Overlooks a name that comes after one that is not before it. */
function inOrderAlone({ archive }: ArchiveReplayRequest): Partial<ArchiveReplayRequest> {
  if (typeof archive === 'string') return {};
  const list: ArchiveSource['list'] = async function* () {
    const last = new Map<string, string>();
    for await (const name of await archive.list()) {
      const log = name.slice(0, 8);
      if (name > (last.get(log) ?? '')) yield name;
      last.set(log, name);
    }
  };
  return { archive: over(archive, { list }) };
}

async function readAllFirst(log: Log, request: ArchiveReplayRequest): Promise<ArchiveReplay> {
  const { archive } = request;
  if (typeof archive !== 'string') for await (const name of await archive.list()) await archive.read(name);
  return replayOf(log, request);
}

/** If two logs go on from one commit it leaves out one of them, whichever. */
async function chooseOne(log: Log, request: ArchiveReplayRequest): Promise<ArchiveReplay> {
  const { archive } = request;
  const replay = await replayOf(log, request);
  if (typeof archive === 'string') return replay;
  const names: string[] = [];
  for await (const name of await archive.list()) names.push(name);
  const last = names.at(-1)?.slice(0, 8) ?? '';
  const chosen = over(archive, { list: () => names.filter((name) => !name.startsWith(last)) });
  return over(replay, {
    records: async function* () {
      try {
        for await (const _ of (await replayOf(log, request)).records());
      } catch (error) {
        if (!isPagewrightError(error, 'PW_ARCHIVE_GAP')) throw error;
        yield* (await replayOf(log, { ...request, archive: chosen })).records();
        return;
      }
      yield* replay.records();
    },
  });
}
