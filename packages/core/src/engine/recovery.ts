/**
 * Recovery: what the log has above the checkpoint is done again, in order. The log is logical, so this goes through the
 * indexes as commits do, without versions: no snapshot is older than the end of it.
 *
 * What always holds: operations on dead numbers are of no effect (T7); nothing is appended to the log that was found, and none of its timestamps
 * is used again, of those that it leaves out neither (L3); doing it all once more, after a crash in the middle, gives the same.
 */
import { type IndexType, TAG_VALUE } from '../contracts/index-plugin.js';
import {
  type GivenUp,
  type LogOperation,
  type LogReplay,
  OPERATION_CLEAR_INDEX,
  OPERATION_CREATE_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_LOAD_INDEX,
  OPERATION_PUT,
  type ReplayedRecord,
} from '../contracts/log.js';
import type { PageStore } from '../contracts/pages.js';
import { PagewrightError } from '../errors.js';
import type { Catalog } from './catalog.js';
import { decodeDescription } from './index-description.js';
import type { IndexEntry } from './index-entry.js';
import { decodeStamp } from './loaded-tree.js';

/** How far recovery is. */
export interface RecoveryProgress {
  /** Bytes of log that were gone through. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Commit records that were done again. */
  readonly records: number;
}

/** What recovery did when the store was opened. */
export interface RecoveryResult {
  /** Commit records that were done again, operations on the catalog among them. */
  readonly records: number;
  /** Those of them that changed entries. */
  readonly transactions: number;
  readonly durationMs: number;
  /** Bytes that were cut: of records that were not acknowledged, as an ordinary crash leaves them. */
  readonly tornBytes: number;
  /** What was left out because the log is damaged, with `recover: 'stop-before-damage'`; null if there was no damage. */
  readonly givenUp: GivenUp | null;
  /**
   * The store was opened read-only and was not closed cleanly: what was committed after its newest checkpoint is in a log
   * that was not looked at. Open it once for writing to see all.
   */
  readonly ignoredLog: boolean;
}

/** Operations between two turns of the event loop. */
const OPERATIONS_A_TURN = 1000;
/** Pages given up in one step. */
const RELEASE_BUDGET = 1024;

export class Recovery {
  private records = 0;
  private transactions = 0;
  /** Operations since the event loop had a turn, … */
  private sinceTurn = 0;
  /** … and bytes of the record under way that were gone through, about. */
  private passedOfRecord = 0;
  private toldBytes = 0;
  private readonly begun = performance.now();

  constructor(
    private readonly pages: PageStore,
    private readonly catalog: Catalog,
    private readonly types: ReadonlyMap<string, IndexType>,
    /** Timestamp of the last commit that is in the store. */
    public timestamp: number,
  ) {}

  /**
   * Errors: `PW_CORRUPT_LOG`, `PW_CORRUPT_PAGE`, `PW_IO`, `PW_FULL`, `PW_INDEX_UNKNOWN` if a changed index is of a type that no
   * plugin brings.
   */
  async replay(replay: LogReplay, onProgress?: (progress: RecoveryProgress) => void): Promise<RecoveryResult> {
    const turn = async (): Promise<void> => {
      this.sinceTurn = 0;
      onProgress?.(this.progress(replay));
      await new Promise(setImmediate);
    };
    for await (const record of replay.records()) {
      this.assertNext(record);
      await this.apply(record, turn);
    }
    this.catalog.giveUpLoads(this.timestamp);
    if (this.records > 0) onProgress?.({ ...this.progress(replay), bytes: replay.bytes });
    return {
      records: this.records,
      transactions: this.transactions,
      durationMs: performance.now() - this.begun,
      tornBytes: replay.tornBytes(),
      givenUp: replay.givenUp(),
      ignoredLog: false,
    };
  }

  private progress(replay: LogReplay): RecoveryProgress {
    const passed = replay.passedBytes() + this.passedOfRecord;
    this.toldBytes = Math.max(this.toldBytes, Math.min(passed, replay.bytes));
    return { bytes: this.toldBytes, totalBytes: replay.bytes, records: this.records };
  }

  /** The log says so itself where timestamps are left out: none is in silence. */
  private assertNext({ timestamp, after = timestamp - 1 }: ReplayedRecord): void {
    if (after === this.timestamp && timestamp > after) return;
    throw new PagewrightError(
      'PW_CORRUPT_LOG',
      `Commit ${this.timestamp + 1} is missing from the log: after ${this.timestamp} comes ${timestamp}. Restore the store from a backup.`,
      { details: { expected: this.timestamp + 1, found: timestamp } },
    );
  }

  /** A record may have millions of operations: turns are taken in between. */
  private async apply(record: ReplayedRecord, turn: () => Promise<void>): Promise<void> {
    let changesEntries = false;
    this.passedOfRecord = 0;
    for (const operation of record.operations) {
      const { kind, key, value } = operation;
      if (kind === OPERATION_PUT || kind === OPERATION_DELETE) changesEntries = true;
      this.carryOut(operation, record.timestamp);
      this.passedOfRecord += key.length + value.length;
      if (++this.sinceTurn >= OPERATIONS_A_TURN) await turn();
    }
    this.timestamp = record.timestamp;
    this.records++;
    if (changesEntries) this.transactions++;
    if (++this.sinceTurn >= OPERATIONS_A_TURN) await turn();
  }

  private carryOut(operation: LogOperation, timestamp: number): void {
    const { kind, index: number, key, value } = operation;
    if (kind === OPERATION_CREATE_INDEX) {
      this.makeRoom();
      this.catalog.create(number, decodeDescription(key), timestamp);
      return;
    }
    const entry = this.catalog.live(number);
    if (entry === undefined) return;
    switch (kind) {
      case OPERATION_PUT:
        this.opened(entry).index.upsert(key, TAG_VALUE, value, timestamp);
        return;
      case OPERATION_DELETE:
        this.opened(entry).index.remove(key, timestamp);
        return;
      case OPERATION_DROP_INDEX:
        this.catalog.drop(entry, timestamp);
        return;
      case OPERATION_CLEAR_INDEX:
        this.makeRoom();
        this.catalog.clear(this.opened(entry), timestamp);
        return;
      case OPERATION_LOAD_INDEX:
        this.catalog.adopt(entry, decodeStamp(key), timestamp);
        return;
      default:
        throw new PagewrightError(
          'PW_CORRUPT_LOG',
          `Commit ${timestamp} has an operation of kind ${kind}, which this release does not know. Open the store with the release that wrote it.`,
          { details: { timestamp, kind } },
        );
    }
  }

  /**
   * When the log was written, the slots of trees that had been given up were used again, and the catalog may have no room for
   * them all at once. The newest goes first: it is likely to come from this log, and to be as small.
   */
  private makeRoom(): void {
    const { catalog, pages } = this;
    if (catalog.hasFreeSlot || catalog.dropped.size === 0) return;
    const tree = [...catalog.dropped].pop()!;
    while (!pages.releaseTree(tree.location, this.timestamp, RELEASE_BUDGET));
    catalog.forget(tree, this.timestamp);
  }

  private opened(entry: IndexEntry): IndexEntry {
    entry.open(this.pages, this.types);
    return entry;
  }
}
