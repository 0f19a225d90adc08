/** Faults between threads, with the clauses that find them. */
import { type ConcurrencyHost, POINT, schedulePoint } from '@pagewright/core';
import type { Mvcc } from '@pagewright/mvcc';
import type { NewConcurrency } from '../src/index.js';
import { changed, insideAll, withTarget } from './concurrency-faulty.js';

function attached(attach: (mvcc: Mvcc, host: ConcurrencyHost, handle: unknown) => void): NewConcurrency {
  return changed((mvcc) => ({ attach: (host, handle) => attach(mvcc, host, handle) }));
}

function isHandle(handle: unknown): boolean {
  return typeof handle === 'object' && handle !== null && 'mvcc' in handle;
}

/** The same memory, as it is now, for this thread alone. */
function copyOf(handle: unknown): unknown {
  const { mvcc, startedAt } = handle as { mvcc: Record<string, SharedArrayBuffer>; startedAt: number };
  const copies = Object.entries(mvcc).map(([part, memory]) => [part, memory.slice(0)]);
  return { mvcc: Object.fromEntries(copies), startedAt };
}

/** What is put aside is there only when the entry was installed. */
const keepsLate = insideAll<{ versions: { keep(...given: unknown[]): boolean }; path: object }>(
  ({ versions, path }) => {
    const keep = versions.keep.bind(versions);
    const install = Reflect.get(path, 'installBesideSnapshots').bind(path);
    Reflect.set(path, 'installBesideSnapshots', (...given: unknown[]) => {
      let late = (): unknown => undefined;
      versions.keep = (...version) => {
        late = () => keep(...version);
        return true;
      };
      install(...given);
      schedulePoint(POINT.entryInstalled);
      late();
    });
  },
);

/** The next timestamp is known before others are let in. */
const takesItEarly = insideAll<{
  timestamps: { visible: number; taken: number; take(): number };
  room: { secure(pages: number): void };
}>(({ timestamps, room }) => {
  let early = 0;
  const secure = room.secure.bind(room);
  const take = timestamps.take.bind(timestamps);
  room.secure = (pages) => {
    early = timestamps.taken + 1;
    secure(pages);
  };
  timestamps.take = () => {
    take();
    return early;
  };
});

/** What is wrong, transactions of which that is so, and clauses that must find it. */
export const THREAD_FAULTS: [string, NewConcurrency, string[]][] = [
  [
    'tells another thread of no commit',
    attached((mvcc, host, handle) => mvcc.attach(host, copyOf(handle))),
    ['threads-see-commits', 'threads-keep-versions', 'threads-conflict', 'threads-in-any-turns', 'failure-reaches-all'],
  ],
  [
    'takes anything for a handle',
    changed((mvcc) => ({
      attach: (host, handle) => (isHandle(handle) ? mvcc.attach(host, handle) : undefined),
    })),
    ['threads-see-commits'],
  ],
  [
    'loses what is above 32 bits of a timestamp',
    changed((mvcc) => ({
      get visible() {
        return mvcc.visible % 2 ** 32;
      },
    })),
    ['large-timestamps'],
  ],
  [
    'keeps nothing for snapshots of other threads',
    insideAll<{ versions: { keep(): boolean } }>(({ versions }) => {
      versions.keep = () => false;
    }),
    ['threads-keep-versions', 'reads-in-the-midst', 'threads-in-any-turns'],
  ],
  [
    'looks for no conflicts with other threads',
    insideAll<{ versions: { lastReplacement(): number } }>(({ versions }) => {
      versions.lastReplacement = () => 0;
    }),
    ['threads-conflict', 'threads-in-any-turns'],
  ],
  [
    'does not look for an index that was cleared',
    withTarget((target) => ({ incarnation: 0, predecessor: null, index: target.index })),
    ['threads-cleared-index'],
  ],
  [
    'does not ask whether a snapshot was opened before it took its timestamp',
    insideAll<{ snapshots: object }>(({ snapshots }) => {
      Object.defineProperty(snapshots, 'openings', { get: () => 0 });
    }),
    ['snapshot-in-preparation'],
  ],
  ['puts versions aside after it has changed the entry', keepsLate, ['reads-in-the-midst']],
  [
    'shows a commit when it is logged',
    insideAll<{ timestamps: { visible: number; taken: number } }>(({ timestamps }) => {
      Object.defineProperty(timestamps, 'visible', { get: () => timestamps.taken });
    }),
    ['reads-in-the-midst'],
  ],
  ['takes its timestamp before anything is prepared', takesItEarly, ['commits-beside-preparation']],
  [
    'does not ask whether a snapshot was revoked in another thread',
    insideAll<{ snapshots: object }>(({ snapshots }) => {
      Object.defineProperty(snapshots, 'revocations', { get: () => 0 });
    }),
    ['threads-revoke', 'revoked-in-the-check'],
  ],
  [
    'looks for no versions where another thread has just put one aside',
    insideAll<{ versions: { holds(): boolean } }>(({ versions }) => {
      versions.holds = () => false;
    }),
    ['commit-within-a-look-up', 'reads-in-the-midst'],
  ],
  [
    'removes a tombstone that it has written, whatever has become of the key',
    insideAll<{ collection: object }>(({ collection }) => {
      Reflect.set(collection, 'isRipe', () => true);
    }),
    ['tombstones-of-all'],
  ],
  [
    'keeps its snapshots when it has left',
    insideAll<{ snapshots: { leave(): void } }>(({ snapshots }) => {
      snapshots.leave = () => undefined;
    }),
    ['detach'],
  ],
  [
    'forgets its tombstones when it leaves',
    insideAll<{ collection: { leave(): void } }>(({ collection }) => {
      collection.leave = () => undefined;
    }),
    ['detach'],
  ],
  ['goes on after it has left', changed(() => ({ detach: () => undefined })), ['detach']],
  [
    'keeps for ever what a thread wanted that is gone',
    insideAll<{ snapshots: { lapse(): void } }>(({ snapshots }) => {
      snapshots.lapse = () => undefined;
    }),
    ['ended-thread'],
  ],
  [
    'lets the snapshots of all others lapse when one is gone',
    insideAll<{ snapshots: { lapse(): void }; sharing: { threads: { isPresent(tag: number): boolean; tag: number } } }>(
      ({ snapshots, sharing }) => {
        const lapse = snapshots.lapse.bind(snapshots);
        snapshots.lapse = () => {
          const { threads } = sharing;
          const present = threads.isPresent;
          threads.isPresent = (tag) => tag === threads.tag;
          lapse();
          threads.isPresent = present;
        };
      },
    ),
    ['ended-thread'],
  ],
  [
    'fails alone',
    insideAll<{ sharing: { memory: SharedArrayBuffer; fail(error: unknown): Error }; timestamps: { waitFor(): void } }>(
      ({ sharing, timestamps }) => {
        const fail = sharing.fail.bind(sharing);
        sharing.fail = (error) => {
          const failure = fail(error);
          new Int32Array(sharing.memory).fill(0);
          return failure;
        };
        // V will never get there: who waits for it all the same would wait for ever.
        timestamps.waitFor = () => undefined;
      },
    ),
    ['failure-reaches-all'],
  ],
];
