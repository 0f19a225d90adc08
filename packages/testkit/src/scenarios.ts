/**
 * Forty-one ways in which a plausible first version of an engine of this kind goes wrong: interleavings and crash points, each
 * with the rules that it would break. Each has a test that forces the order of events, named after its number, or says which
 * part must exist before it can have one. Authors of parts find here what to try theirs with.
 *
 * Must hold: all numbers from 1 to 41 are there once, and every test that is named exists. A test of this package sees to it.
 */

/** What becomes of a scenario. */
export type ScenarioState =
  | {
      /** Path of the test file, or of the conformance suite, from the root of the repository. */
      readonly tested: string;
      /** What the name of the test, or what the clause says, begins with or contains: it has the words `scenario` and the number. */
      readonly name: string;
      /** Further tests of other parts of it. */
      readonly also?: readonly { readonly tested: string; readonly name: string }[];
      /** What of it waits all the same, and for what. */
      readonly except?: string;
    }
  | {
      /** The part that must exist before it can be met. */
      readonly waitsFor: string;
    };

export interface Scenario {
  readonly number: number;
  /** What goes wrong, in a sentence. */
  readonly goesWrong: string;
  /** Numbers of the rules of `docs/architecture.md` that keep it from going wrong. */
  readonly rules: readonly string[];
  readonly state: ScenarioState;
}

const CHECKPOINTS = 'tests/scenarios/checkpoints.test.ts';
const PAGES = 'tests/scenarios/pages.test.ts';
const RECOVERY = 'tests/scenarios/recovery.test.ts';
const LOG = 'tests/scenarios/log.test.ts';
/** Clauses of the conformance suites, which every plugin of their kind runs. */
const SUITES = 'packages/testkit/src/conformance';

export const SCENARIOS: readonly Scenario[] = [
  // Pages, eviction, latches
  {
    number: 1,
    goesWrong:
      'A page goes to the file from its frame, and a writer changes it between checksum and write: it never verifies.',
    rules: ['P4'],
    state: { tested: CHECKPOINTS, name: 'scenario 1: pages change after their images were sealed' },
  },
  {
    number: 2,
    goesWrong:
      'A changed page that cools is touched by way of its old address: now there are two copies, one of them stale.',
    rules: ['P2'],
    state: { tested: CHECKPOINTS, name: 'scenario 2: a dirty page that cools is touched' },
  },
  {
    number: 3,
    goesWrong:
      'An image names a child by its frame, and by the time the address is wanted another page is in that frame.',
    rules: ['C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 3: frames that an image still waits for' },
  },
  {
    number: 4,
    goesWrong:
      'Versions start over when a frame changes hands: a reader of the page before is told that nothing has changed.',
    rules: ['M1'],
    state: { tested: PAGES, name: 'scenario 4: the version of a frame goes on' },
  },
  {
    number: 5,
    goesWrong:
      'A reader follows what it found on a page that is being written: beyond the page, for 65,535 bytes, in a circle.',
    rules: ['M3'],
    state: { tested: PAGES, name: 'scenario 5: pages are torn under their readers' },
  },
  {
    number: 6,
    goesWrong: 'A native decoder gets text that changes while it reads: the process is gone.',
    rules: ['M4'],
    state: { tested: PAGES, name: 'scenario 6: text is decoded from private copies alone' },
  },
  {
    number: 7,
    goesWrong: 'Plain loads of versions are put in another order, and torn bytes pass for whole ones now and then.',
    rules: ['M2'],
    state: {
      tested: PAGES,
      name: 'scenario 7: a version is read, compared and changed by Atomics alone',
      except: 'that it holds on weakly ordered processors needs a run of tests/threads.test.ts on one',
    },
  },
  {
    number: 8,
    goesWrong:
      'A worker thread ends with a latch held, half a commit done, and a read under way into memory that is used again.',
    rules: ['M6', 'IO2'],
    state: {
      tested: 'tests/scenarios/threads.test.ts',
      name: 'scenario 8: with %s begun fails the others',
    },
  },
  {
    number: 9,
    goesWrong: 'A synchronous call waits for I/O of which this very thread would have to take the completion.',
    rules: ['IO3'],
    state: {
      tested: 'packages/wal/test/failure.test.ts',
      name: 'scenario 9: a commit in place does not wait for a flush',
    },
  },
  {
    number: 10,
    goesWrong: 'One thread computes, its records unflushed, and the durable commit of another waits for it.',
    rules: ['IO3'],
    state: {
      tested: 'tests/scenarios/engine-threads.test.ts',
      name: 'scenario 10: a durable commit does not wait for the thread whose commit it has seen',
    },
  },
  {
    number: 11,
    goesWrong: 'A commit changes more pages than there are frames, and holds on to all of them.',
    rules: ['M5'],
    state: { tested: PAGES, name: 'scenario 11: a commit touches several times more leaves' },
  },
  {
    number: 12,
    goesWrong: 'All frames hold what is not durable, nothing may leave, and what would make it durable needs a frame.',
    rules: ['P3'],
    state: { tested: PAGES, name: 'scenario 12: every frame holds what is not durable yet' },
  },

  // Checkpoints and space
  {
    number: 13,
    goesWrong: 'Two pages change together; the image of one was taken before, that of the other after.',
    rules: ['C1', 'C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 13: of changes that belong together' },
  },
  {
    number: 14,
    goesWrong:
      'A commit is in the log before the point where replay begins, and on its page after the page was copied.',
    rules: ['C1'],
    state: { tested: RECOVERY, name: 'scenario 14: commits are under way at every step of a checkpoint' },
  },
  {
    number: 15,
    goesWrong: 'A split is cut in two by the checkpoint: the new page is in it, and nothing that leads there.',
    rules: ['C1', 'C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 15: a page is divided after the gate' },
  },
  {
    number: 16,
    goesWrong: 'A page goes over to a parent that was written already, and is in the checkpoint twice or not at all.',
    rules: ['C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 16: a page is moved to a parent whose image is written already' },
  },
  {
    number: 17,
    goesWrong: 'The image of a parent asks for the address of an unchanged child, and gets where the child went since.',
    rules: ['C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 17: a page that was clean at the gate changes' },
  },
  {
    number: 18,
    goesWrong:
      'A leaf has changed and its parent has not: the checkpoint passes by the parent, and never sees the leaf.',
    rules: ['C2'],
    state: { tested: CHECKPOINTS, name: 'scenario 18: a page is dirty at the gate, its parent was not changed' },
  },
  {
    number: 19,
    goesWrong:
      'What eviction wrote for the checkpoint under way counts as written for the next, and is free at once when given up.',
    rules: ['C4'],
    state: { tested: CHECKPOINTS, name: 'scenario 19: pages that leave during a checkpoint' },
  },
  {
    number: 20,
    goesWrong: 'An image that waits for its superblock is written over: the superblock leads to something else.',
    rules: ['C4'],
    state: { tested: CHECKPOINTS, name: 'scenario 20: an image that is in the file, and in no superblock yet' },
  },
  {
    number: 21,
    goesWrong: 'The next process finds a superblock that was never synced, builds on it, and then the power fails.',
    rules: ['C4', 'C5'],
    state: { tested: RECOVERY, name: 'scenario 21: a superblock that was written and not synced' },
  },
  {
    number: 22,
    goesWrong: 'The newer superblock rots when the log that would lead on from the older one is gone.',
    rules: ['C4'],
    state: {
      tested: 'packages/bufferpool/test/checkpoint.test.ts',
      name: 'is found whole when the superblock of the next one rots, however much was written since (scenario 22)',
    },
  },
  {
    number: 23,
    goesWrong:
      'The disk is full before a checkpoint ends, so none ever does; or a commit is logged for which there is no room.',
    rules: ['C6', 'M5'],
    state: { tested: RECOVERY, name: 'scenario 23: the disk fills during a checkpoint' },
  },
  {
    number: 24,
    goesWrong:
      'A reader in another process chooses a checkpoint in the moment in which its space is used again, or dies there.',
    rules: ['C7'],
    state: {
      tested: `${SUITES}/page-store-readers.ts`,
      name: 'reads a whole checkpoint, whatever the writer does between any two steps of its opening (scenario 24)',
    },
  },
  {
    number: 25,
    goesWrong: 'The power goes while the file changes its size, and again while recovery puts that right.',
    rules: ['C3', 'L3'],
    state: {
      tested: RECOVERY,
      name: 'scenario 25: the power goes while the file',
    },
  },

  // Log and recovery
  {
    number: 26,
    goesWrong:
      'Of three writes under way the first and the last land: that is no damage, and must not be taken for it.',
    rules: ['L2'],
    state: { tested: LOG, name: 'scenario 26: of three commits in flight the first and the last land' },
  },
  {
    number: 27,
    goesWrong: 'A new record fills a hole in the log, and the old one behind it is read as if it followed.',
    rules: ['L3'],
    state: { tested: LOG, name: 'scenario 27: new commits take the place of the hole' },
  },
  {
    number: 28,
    goesWrong: 'What recovery left out comes back, when the place that it depended on has another record.',
    rules: ['L3'],
    state: { tested: LOG, name: 'scenario 28: a commit that was left out does not come back' },
  },
  {
    number: 29,
    goesWrong: 'A replay from further back meets the gap that an earlier recovery had left, and ends there.',
    rules: ['L4'],
    state: {
      tested: LOG,
      name: 'scenario 29: a replay from an older superblock passes the gap',
    },
  },
  {
    number: 30,
    goesWrong: 'The end of what is durable is held back by a stream that has nothing to write.',
    rules: ['IO3'],
    state: { tested: 'packages/wal/test/sharing.test.ts', name: 'scenario 30: a thread that has nothing to write' },
  },
  {
    number: 31,
    goesWrong: 'A commit is acknowledged, and an earlier one that its program did not wait for is lost.',
    rules: ['T1', 'L1'],
    state: {
      tested: RECOVERY,
      name: 'what was seen before a commit began is there if the commit was acknowledged',
    },
  },
  {
    number: 32,
    goesWrong: 'A flush fails, the next one is reported to have worked, and stands for both.',
    rules: ['IO1'],
    state: { tested: 'packages/wal/test/failure.test.ts', name: 'scenario 32: a %s fails, the next one would succeed' },
  },
  {
    number: 33,
    goesWrong: 'After a restart the page cache shows what the disk never got, and new things are built on it.',
    rules: ['L5'],
    state: {
      tested: `${SUITES}/log-recovery.ts`,
      name: 'makes durable what an earlier process wrote and did not sync, before anything is built on it (scenario 33)',
    },
  },

  // Transactions
  {
    number: 34,
    goesWrong:
      'A later commit is published before an earlier one is in place: a snapshot of the later changes under its reader.',
    rules: ['T2'],
    state: {
      tested: 'packages/mvcc/test/timestamps.test.ts',
      name: 'a later commit that is published first is not seen before the earlier one is in place (scenario 34)',
    },
  },
  {
    number: 35,
    goesWrong: 'A key that was deleted after a snapshot began is not in the ranges of that snapshot.',
    rules: ['T3'],
    state: {
      tested: `${SUITES}/concurrency-snapshots.ts`,
      name: 'finds in the scan of a snapshot a key that was deleted since (scenario 35)',
    },
  },
  {
    number: 36,
    goesWrong: 'The versions that a transaction would have to be checked against are gone, and it commits.',
    rules: ['T4'],
    state: {
      tested: `${SUITES}/concurrency-revocation.ts`,
      name: 'does not commit a transaction whose snapshot was revoked over a change that it never saw (scenario 36)',
    },
  },
  {
    number: 37,
    goesWrong:
      'Two transactions that must not both commit do: of one key, or of what each has read and the other writes.',
    rules: ['T5'],
    state: {
      tested: `${SUITES}/concurrency-conflicts.ts`,
      name: 'lets the first win of two transactions that change, insert or delete a key (PW_CONFLICT, scenario 37)',
      also: [
        { tested: `${SUITES}/concurrency-serializable.ts`, name: 'only one commit (write skew, scenario 37)' },
        { tested: `${SUITES}/concurrency-serializable.ts`, name: 'looked at for the last time but one (scenario 37)' },
        { tested: `${SUITES}/concurrency-serializable.ts`, name: 'phantoms included (scenario 37)' },
      ],
    },
  },
  {
    number: 38,
    goesWrong: 'A transaction from before a clear looks for later versions in the new tree, finds none, and commits.',
    rules: ['T7'],
    state: {
      tested: `${SUITES}/concurrency-conflicts.ts`,
      name: 'stops a transaction that writes an index which was cleared or created after its beginning (scenario 38)',
    },
  },
  {
    number: 39,
    goesWrong: 'An index is dropped, another gets its name, and replay puts the entries of the one into the other.',
    rules: ['T7'],
    state: {
      tested: 'packages/core/test/engine/indexes.test.ts',
      name: 'and made again under the same name does not get the old entries back from the log (scenario 39)',
    },
  },
  {
    number: 40,
    goesWrong: 'A tree that was loaded in bulk is written to, that is acknowledged, and a crash takes the tree.',
    rules: ['T7'],
    state: { tested: 'tests/bulk-load.test.ts', name: 'also if the newest superblock rots (scenario 40)' },
  },
  {
    number: 41,
    goesWrong: 'A page cannot be read when half of a logged commit is carried out, and the engine goes on.',
    rules: ['T6'],
    state: {
      tested: `${SUITES}/concurrency-failures.ts`,
      name: 'fails the engine by an error after the append, and nothing more is logged or published (scenario 41)',
    },
  },
];
