/** The concurrency suite finds each fault that was planted in transactions, and nothing in sound ones. */
import type {
  CommitTicket,
  Concurrency,
  ConcurrencyHost,
  Cursor,
  Dependence,
  EntryCount,
  EntryReference,
  Index,
  Scan,
  Snapshot,
  Target,
  TransactionCore,
  Write,
} from '@pagewright/core';
import { EntryBatch, isPagewrightError, PageFault, PagewrightError, TAG_VALUE } from '@pagewright/core';
import { Mvcc } from '@pagewright/mvcc';
import { describe, expect, test } from 'vitest';
import {
  brokenClauses,
  type ConcurrencyCapability,
  ConcurrencySubject,
  concurrencySuite,
  type Manifest,
  type NewConcurrency,
} from '../src/index.js';
import { changed, insideAll, partsOf, withTarget } from './concurrency-faulty.js';
import { SERIALIZABLE_FAULTS } from './concurrency-serializable-faults.js';
import { THREAD_FAULTS } from './concurrency-thread-faults.js';
import { over } from './over.js';

const ALL: Manifest<ConcurrencyCapability> = {
  snapshots: true,
  'write-conflicts': true,
  savepoints: true,
  revocation: true,
  threads: true,
  serializable: true,
};
/** What says what a commit depends on. */
interface Check {
  check(all: unknown): number;
}

const create: NewConcurrency = (limits) => new Mvcc(limits);

/** The ids of the clauses that the concurrency control breaks. */
async function brokenBy(faulty: NewConcurrency, ids?: readonly string[], manifest = ALL): Promise<string[]> {
  const factory = { create: () => new ConcurrencySubject(faulty) };
  const broken = await brokenClauses(concurrencySuite, factory, manifest, ids && new Set(ids));
  return broken.map(({ id }) => id);
}

describe('the concurrency suite', () => {
  test('finds nothing in sound transactions', async () => {
    expect(await brokenBy(create)).toEqual([]);
  });

  test('asks a plugin with one writer at a time for no second one', async () => {
    expect(await brokenBy(oneWriter, undefined, { snapshots: true, savepoints: true })).toEqual([]);
    expect(await brokenBy(oneWriter)).toContain('no-false-conflict');
  });

  test.each<[string, NewConcurrency, string[]]>([
    [
      'removes entries that older snapshots must meet',
      withTarget((target) => ({ index: over(target.index, { upsert: forgetTombstones(target.index) }) })),
      ['scan-meets-deleted-key', 'stable-snapshot', 'any-interleaving'],
    ],
    [
      'notes tombstones too late',
      withTarget(() => ({ noteTombstones: () => undefined })),
      ['scan-meets-deleted-key', 'kept-while-needed'],
    ],
    [
      'collects versions that are needed',
      collectsTooMuch,
      ['kept-while-needed', 'scan-meets-deleted-key', 'any-interleaving'],
    ],
    [
      'says of a commit that it depends on less than it saw',
      changed((mvcc) => ({
        begin: () => {
          const core = mvcc.begin();
          return over(core, { commit: () => ({ ...core.commit(), dependsOn: 0 }) });
        },
      })),
      ['depends-on-what-it-saw'],
    ],
    ['stays where it is when it is to go on', changed(() => ({ advance: () => undefined })), ['advance']],
    [
      'goes on and answers what was begun before',
      changed((mvcc) => ({
        advance: (timestamp) => {
          partsOf<{ timestamps: { begin(timestamp: number): void } }>(mvcc).timestamps.begin(timestamp);
        },
      })),
      ['advance'],
    ],
    [
      'gives up snapshots that could stand',
      changed((mvcc) => ({
        advance: (timestamp) => {
          mvcc.advance(timestamp);
          const { snapshots } = partsOf<{ snapshots: { revokeBelow(timestamp: number): void } }>(mvcc);
          snapshots.revokeBelow(timestamp + 1);
        },
      })),
      ['advance-to-the-same'],
    ],
    [
      'shows a snapshot what was committed later',
      changed((mvcc) => ({
        lookup: (target, key, into, snapshot) => {
          snapshot?.assertStands();
          return mvcc.lookup(target, key, into, null);
        },
      })),
      ['stable-snapshot', 'cleared-index', 'any-interleaving', 'revoked-never-wrong'],
    ],
    [
      'shows a scan what was committed later',
      changed((mvcc) => ({ scan: (target, bounds) => mvcc.scan(target, bounds, null) })),
      ['stable-snapshot', 'scan-meets-deleted-key', 'scan-goes-on'],
    ],
    [
      'takes the snapshot of the commit before',
      changed((mvcc) => {
        const last: Snapshot[] = [];
        return {
          snapshot: () => {
            last.push(mvcc.snapshot());
            return last.length > 1 ? last.shift()! : last[0]!;
          },
        };
      }),
      ['published-before-return'],
    ],
    [
      'finds no conflicts',
      onTransactions((transaction, mvcc) => ({
        commit: () => {
          const writes = [...transaction.writes()];
          transaction.abort();
          return mvcc.commit(writes);
        },
      })),
      ['first-committer-wins', 'conflict-is-remembered', 'clear-conflicts', 'any-interleaving'],
    ],
    [
      'names no key in a conflict',
      onTransactions((transaction) => ({
        commit: () => {
          try {
            return transaction.commit();
          } catch (error) {
            if (isPagewrightError(error, 'PW_CONFLICT')) Object.assign(error, { details: {} });
            throw error;
          }
        },
      })),
      ['conflict-names-the-key'],
    ],
    ['sees a conflict in every commit', seesConflictsEverywhere, ['no-false-conflict', 'any-interleaving']],
    [
      'keeps a write when it rolls back',
      onTransactions((transaction) => ({
        rollbackTo: (savepoint) => {
          const before = [...transaction.writes()];
          transaction.rollbackTo(savepoint);
          const after = [...transaction.writes()];
          const kept = before.find((write) => write.value && !after.some((other) => isSame(write, other)));
          if (kept?.value) transaction.put(kept.target, kept.key, kept.value);
        },
      })),
      ['savepoints', 'any-interleaving'],
    ],
    [
      'loses savepoints from before its first write when another commits',
      onTransactions((transaction, mvcc) => {
        const early = new Set<number>();
        return {
          savepoint: () => {
            const savepoint = transaction.savepoint();
            if (!transaction.hasWrites) early.add(savepoint);
            return savepoint;
          },
          rollbackTo: (savepoint) => {
            if (early.has(savepoint) && mvcc.visible > transaction.snapshot.timestamp)
              throw new PagewrightError('PW_ARGUMENT', 'There is no such savepoint.');
            transaction.rollbackTo(savepoint);
          },
        };
      }),
      ['savepoints-before-writing', 'any-interleaving'],
    ],
    [
      'misses own writes in ranges that run backwards',
      onTransactions((transaction, mvcc) => ({
        scan: (target, bounds) =>
          bounds.reverse ? mvcc.scan(target, bounds, transaction.snapshot) : transaction.scan(target, bounds),
      })),
      ['own-ranges', 'own-in-empty-index', 'any-interleaving'],
    ],
    [
      'finds what it has deleted itself',
      onTransactions((transaction, mvcc) => ({
        lookup: (target, key, into) =>
          transaction.lookup(target, key, into) || mvcc.lookup(target, key, into, transaction.snapshot),
      })),
      ['own-lookups', 'any-interleaving'],
    ],
    ['hands out its own bytes', handsOutItsOwn, ['own-copies']],
    [
      'keeps the bytes that it is given',
      onTransactions((transaction) => {
        const given: [Target, Uint8Array, Uint8Array][] = [];
        return {
          put: (...write) => {
            given.push(write);
            transaction.put(...write);
          },
          commit: () => {
            for (const write of given) transaction.put(...write);
            return transaction.commit();
          },
        };
      }),
      ['copies-what-it-is-given'],
    ],
    [
      'goes on after its end',
      onTransactions((transaction) => ({
        put: (...write) => (transaction.closed ? undefined : transaction.put(...write)),
      })),
      ['ends-once'],
    ],
    [
      'leaves its snapshot open when it is aborted',
      onTransactions(() => ({ abort: () => undefined })),
      ['abort', 'nothing-kept-for-no-one'],
    ],
    [
      'keeps the first write of a key in a batch',
      onWrites((writes) => writes.filter((write, i) => writes.findIndex((other) => isSame(write, other)) === i)),
      ['last-write-counts'],
    ],
    ['commits a batch write by write', commitsOneByOne, ['last-write-counts', 'too-large']],
    [
      'logs nothing of deletions',
      onHost((host) => ({
        log: over(host.log, {
          append: (record) =>
            host.log.append({ ...record, operations: [...record.operations].filter(({ kind }) => kind !== 2) }),
        }),
      })),
      ['one-record', 'any-interleaving'],
    ],
    [
      'leaves a gap in the timestamps',
      onHost((host) => ({
        log: over(host.log, {
          append: (record) =>
            host.log.append({ ...record, timestamp: record.timestamp + (record.timestamp > 3 ? 1 : 0) }),
        }),
      })),
      ['one-record', 'any-interleaving'],
    ],
    [
      'logs before it has secured room',
      onHost((host) => ({ pages: over(host.pages, { secureSpace: () => undefined, giveSpace: () => undefined }) })),
      ['refused-before-append', 'one-record'],
    ],
    [
      'keeps room that it does not need any more',
      onHost((host) => ({ pages: over(host.pages, { giveSpace: () => undefined }) })),
      ['one-record'],
    ],
    [
      'logs when the host accepts no commits',
      onHost(() => ({ assertWritable: () => undefined })),
      ['refused-before-append'],
    ],
    ['goes on after an error that came when the commit was logged', forgetsFailure, ['fails-after-append']],
    [
      'tells the host nothing of such an error',
      onHost((host) => ({ fail: (error) => new (class extends Error {})(String(error), { cause: host }) })),
      ['fails-after-append'],
    ],
    [
      'counts tombstones as well',
      changed(() => ({
        count: (target) => {
          const cursor = target.index.cursor();
          cursor.seek(null, {});
          const batch = new EntryBatch();
          let count = 0;
          while (cursor.next(batch)) count += batch.count;
          return { count, next: () => false };
        },
      })),
      ['count', 'any-interleaving'],
    ],
    [
      'counts what is newest, whatever the snapshot',
      changed((mvcc) => ({ count: (target, bounds) => mvcc.count(target, bounds, null) })),
      ['count', 'count-of-what-was', 'any-interleaving'],
    ],
    ['begins to count anew when a page is missing', countsAnew, ['fault-in-count', 'any-interleaving']],
    ['loses its place when a page is missing', losesItsPlace, ['fault-in-scan', 'any-interleaving']],
    ['swallows that a page is missing', swallowsFaults, ['fault-in-lookup']],
    [
      'carries out a catalog operation before it is logged',
      changed((mvcc) => ({
        commitOperation: (operation, install) => {
          install(mvcc.visible + 1);
          return mvcc.commitOperation(operation, () => undefined);
        },
      })),
      ['catalog-operation'],
    ],
    ['never revokes a snapshot', () => new Mvcc(), ['revocation', 'one-large-commit']],
    [
      'answers through a snapshot that it has revoked',
      changed((mvcc) => ({
        lookup: (target, key, into, snapshot) => {
          try {
            return mvcc.lookup(target, key, into, snapshot);
          } catch (error) {
            if (!isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD')) throw error;
            return mvcc.lookup(target, key, into, null);
          }
        },
      })),
      ['revocation', 'one-large-commit', 'revoked-never-wrong'],
    ],
    ['collects nothing', changed(() => ({ collect: () => false })), ['nothing-kept-for-no-one', 'collect-budget']],
    [
      'keeps all that was deleted since the oldest snapshot began',
      changedInside<{ collection: object }>(({ collection }) => {
        Reflect.set(collection, 'collectAmong', () => false);
      }),
      ['queue-beside-a-snapshot'],
    ],
    [
      'asks of what was deleted only whether the oldest snapshot has seen it last',
      seesForTheOldest,
      ['queue-beside-a-snapshot'],
    ],
    [
      'does not tell the host of what it keeps',
      onHost(() => ({ kept: () => {} })),
      ['collection-is-called-for', 'revocation'],
    ],
    [
      'gives up looking at what was deleted when all of some is needed',
      changedInside<{ collection: { collectAmong(budget: number): boolean } }>(({ collection }) => {
        const collectAmong = collection.collectAmong.bind(collection);
        collection.collectAmong = (budget) => collectAmong(budget) && false;
      }),
      ['collection-is-called-for'],
    ],
    [
      'gets by what was deleted also where a page has changed since',
      countingWith((into, count) => {
        const { newest } = into;
        into.newest = Number.POSITIVE_INFINITY;
        const more = count(into);
        into.newest = newest;
        return more;
      }),
      ['scan-past-deleted'],
    ],
    [
      'gets by what was not deleted',
      countingWith((into, count) => {
        into.deletedOnly = false;
        return count(into);
      }),
      ['scan-past-deleted', 'range-past-deleted'],
    ],
    [
      'forgets of what it got by when it was deleted',
      countingWith((into, count) => {
        const more = count(into);
        into.timestamp = 0;
        return more;
      }),
      ['depends-on-deleted'],
    ],
    [
      'is handed out all that was deleted',
      withTarget((target) => ({
        index: over(target.index, { cursor: () => over(target.index.cursor(), { count: undefined } as object) }),
      })),
      ['scan-gets-by-deleted'],
    ],
    [
      'collects without regard to its budget',
      changed((mvcc) => ({ collect: () => mvcc.collect(1_000_000) })),
      ['collect-budget'],
    ],
    [
      'sweeps without regard to its budget',
      changed((mvcc) => ({ sweep: (target, cursor) => mvcc.sweep(target, cursor, 100) })),
      ['sweep'],
    ],
    ['sweeps nothing', changed(() => ({ sweep: () => true })), ['sweep', 'sweep-again']],
    [
      'writes an index that was dropped',
      withTarget(() => ({ dropped: false })),
      ['dropped-index', 'dropped-meanwhile'],
    ],
    [
      'forgets what an index was before it was cleared',
      withTarget(() => ({ predecessor: null })),
      ['cleared-index', 'any-interleaving'],
    ],
    [
      'says of every commit that it changes one entry',
      onHost((host) => ({ committed: (bytes) => host.committed(bytes, 1) })),
      ['one-record', 'any-interleaving'],
    ],
    [
      'depends on too little though more is asked for',
      onCommits((commit) => commit('touched')),
      ['depends-on-seen', 'depends-on-touched'],
    ],
    [
      'depends on what came after its snapshot',
      insideAll<{ timestamps: { visible: number }; path: { commit(all: unknown, check: Check): unknown } }>(
        ({ timestamps, path }) => {
          const commit = path.commit.bind(path);
          path.commit = (operations, check) =>
            commit(operations, { check: (all) => Math.max(check.check(all), timestamps.visible) });
        },
      ),
      ['depends-on-touched'],
    ],
    [
      'does not depend on what it looked up',
      onTransactions((transaction, mvcc) => ({
        lookup: (target, key, into) =>
          transaction.hasWrites
            ? transaction.lookup(target, key, into)
            : mvcc.lookup(target, key, into, transaction.snapshot),
      })),
      ['depends-on-touched'],
    ],
    [
      'does not depend on what it scanned',
      onTransactions((transaction, mvcc) => ({
        scan: (target, bounds) =>
          transaction.hasWrites ? transaction.scan(target, bounds) : mvcc.scan(target, bounds, transaction.snapshot),
      })),
      ['depends-on-touched'],
    ],
    ['does not depend on what was cleared', withTarget(() => ({ incarnation: 0 })), ['depends-on-touched']],
    [
      'does not depend on what it writes to',
      insideAll<{ plainChecks: Record<string, Check> }>(({ plainChecks }) => {
        const { touched } = plainChecks;
        plainChecks.touched = { check: (all) => Math.min(0, touched!.check(all)) };
      }),
      ['depends-on-touched'],
    ],
    ...SERIALIZABLE_FAULTS,
    ...THREAD_FAULTS,
  ])('finds transactions of which one %s', async (_, faulty, clauses) => {
    expect(await brokenBy(faulty, clauses)).toEqual(
      concurrencySuite.clauses.map(({ id }) => id).filter((id) => clauses.includes(id)),
    );
  });
});

function onTransactions(
  change: (transaction: TransactionCore, mvcc: Mvcc) => Partial<TransactionCore>,
): NewConcurrency {
  return changed((mvcc) => ({
    begin: () => {
      const transaction = mvcc.begin();
      return over(transaction, change(transaction, mvcc));
    },
  }));
}

function onCommits(change: (commit: (dependence?: Dependence) => CommitTicket) => CommitTicket): NewConcurrency {
  return changed((mvcc) => ({
    commit: (writes) => change((dependence) => mvcc.commit(writes, dependence)),
    begin: () => {
      const transaction = mvcc.begin();
      return over(transaction, { commit: () => change((dependence) => transaction.commit(dependence)) });
    },
  }));
}

function onHost(change: (host: ConcurrencyHost) => Partial<ConcurrencyHost>): NewConcurrency {
  return changed((mvcc) => ({ start: (host, timestamp) => mvcc.start(over(host, change(host)), timestamp) }));
}

function onWrites(change: (writes: readonly Write[]) => readonly Write[]): NewConcurrency {
  return changed((mvcc) => ({ commit: (writes) => mvcc.commit(change(writes)) }));
}

/** Counts entries in another way than it is asked to. */
function countingWith(change: (into: EntryCount, count: (into: EntryCount) => boolean) => boolean): NewConcurrency {
  return withTarget(({ index }) => {
    const cursor = (): Cursor => {
      const sound = index.cursor();
      const { count } = sound;
      return count === undefined ? sound : over(sound, { count: (into) => change(into, count.bind(sound)) });
    };
    return { index: over(index, { cursor }) };
  });
}

function forgetTombstones(index: Index): Index['upsert'] {
  return (key, tag, value, timestamp) => {
    if (tag === TAG_VALUE) index.upsert(key, tag, value, timestamp);
    else index.remove(key, timestamp);
  };
}

/** Transactions whose parts are changed when they are started. */
function changedInside<Parts>(change: (parts: Parts, mvcc: Mvcc) => void): NewConcurrency {
  return changed((mvcc) => ({
    start: (host, timestamp) => {
      mvcc.start(host, timestamp);
      change(partsOf<Parts>(mvcc), mvcc);
    },
  }));
}

/** Lets everything go, as if no snapshot were open. */
const collectsTooMuch = changedInside<{ snapshots: object }>(({ snapshots }) => {
  Object.defineProperty(snapshots, 'first', { get: () => 0 });
});

/** Forgets younger snapshots when it asks who has seen a value. */
const seesForTheOldest = changedInside<{
  versions: {
    find(tree: object, key: Uint8Array, at: number): number;
    newestViewer(tree: object, key: Uint8Array): number;
  };
  snapshots: { readonly first: number; timestampOf(member: number): number };
}>(({ versions, snapshots }) => {
  versions.newestViewer = (tree, key) => {
    const oldest = snapshots.timestampOf(snapshots.first);
    return versions.find(tree, key, oldest) > 0 ? oldest : -1;
  };
});

const seesConflictsEverywhere = changedInside<{ versions: { lastReplacement(): number } }>(({ versions }, mvcc) => {
  versions.lastReplacement = () => mvcc.visible;
});

/** Look-ups of own writes give the buffer that was written. */
function handsOutItsOwn(): Concurrency {
  const mvcc = new Mvcc();
  return over<Concurrency>(mvcc, {
    begin: () => {
      const transaction = mvcc.begin();
      const own = new Map<string, Uint8Array>();
      const put = (target: Target, key: Uint8Array, value: Uint8Array) => {
        transaction.put(target, key, value);
        own.set(nameOf(key), value.slice());
      };
      const lookup = (target: Target, key: Uint8Array, into: EntryReference) => {
        const found = transaction.lookup(target, key, into);
        const value = own.get(nameOf(key));
        if (found && value !== undefined) into.value = value;
        return found;
      };
      return over(transaction, { put, lookup });
    },
  });
}

function commitsOneByOne(limits: object): Concurrency {
  const mvcc = new Mvcc(limits);
  const commit = (writes: readonly Write[]) => {
    let ticket = mvcc.commit([]);
    for (const write of writes) ticket = mvcc.commit([write]);
    return ticket;
  };
  return over<Concurrency>(mvcc, { commit });
}

const forgetsFailure = changedInside<{ sharing: { failure: Error | null } }>(({ sharing }) => {
  Object.defineProperty(sharing, 'failure', { get: () => null, set: () => undefined });
});

/** A scan that starts again from the beginning after a fault. */
function losesItsPlace(): Concurrency {
  const mvcc = new Mvcc();
  const again = (open: () => Scan): Scan => {
    let scan = open();
    const next = () => {
      try {
        return scan.next();
      } catch (error) {
        if (error instanceof PageFault) scan = open();
        throw error;
      }
    };
    return {
      get keys() {
        return scan.keys;
      },
      get values() {
        return scan.values;
      },
      get count() {
        return scan.count;
      },
      set count(count) {
        scan.count = count;
      },
      next,
    };
  };
  return over<Concurrency>(mvcc, {
    scan: (target, bounds, snapshot) => again(() => mvcc.scan(target, bounds, snapshot)),
  });
}

/** A count that goes on from the beginning after a fault. */
function countsAnew(): Concurrency {
  const mvcc = new Mvcc();
  return over<Concurrency>(mvcc, {
    count: (...asked) => {
      let counter = mvcc.count(...asked);
      let before = 0;
      return {
        get count() {
          return before + counter.count;
        },
        next: () => {
          try {
            return counter.next();
          } catch (error) {
            before += counter.count;
            counter = mvcc.count(...asked);
            throw error;
          }
        },
      };
    },
  });
}

function swallowsFaults(): Concurrency {
  const mvcc = new Mvcc();
  return over<Concurrency>(mvcc, {
    lookup: (target, key, into, snapshot) => {
      try {
        return mvcc.lookup(target, key, into, snapshot);
      } catch (error) {
        if (error instanceof PageFault) return false;
        throw error;
      }
    },
  });
}

/** One transaction at a time may write, and plain commits wait for it: here they are refused. */
const oneWriter: NewConcurrency = (limits) => {
  const mvcc = new Mvcc(limits);
  let writer: TransactionCore | null = null;
  const assertFree = (by: TransactionCore | null) => {
    if (writer?.closed) writer = null;
    if (writer !== null && writer !== by) throw new Error('Another transaction writes.');
  };
  return over<Concurrency>(mvcc, {
    commit: (writes) => {
      assertFree(null);
      return mvcc.commit(writes);
    },
    begin: () => {
      const transaction = mvcc.begin();
      const write = () => {
        assertFree(transaction);
        if (!transaction.closed) writer = transaction;
      };
      return over(transaction, {
        put: (...change) => {
          write();
          transaction.put(...change);
        },
        delete: (...change) => {
          write();
          transaction.delete(...change);
        },
      });
    },
  });
};

function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

function isSame(a: Write, b: Write): boolean {
  return a.target === b.target && Buffer.compare(a.key, b.key) === 0;
}
