/**
 * Autonomous commit, after Nguyen, Alhomssi, Ziegler and Leis (SIGMOD 2025): each thread writes the log itself, in small writes of which several are
 * under way, and acknowledges its own transactions. A write takes what no other has taken, whichever thread appended it, and so takes over what slower ones have
 * not written; nobody waits for what another gathers, and a thread with nothing to write holds nobody back, since it has no part of the log of its own.
 *
 * Something is written as soon as there is something to write: at once while no write of this thread is under way, and beside others
 * once it is `batchBytes`; less goes with the next write when one ends. So under a light load a commit waits for its own write alone,
 * and under a heavy one the device has `depth` writes to choose from.
 *
 * A commit is acknowledged by rule T1: its own write is over, and all that its transaction depends on is durable. Commits between them that nobody here has
 * seen may be in flight still.
 */
import type {
  CommitPolicy,
  CommitPolicyOptions,
  CommitPolicyType,
  LogPosition,
  LogStream,
  LogWrite,
} from '@pagewright/core';
import { Gathered } from './gathered.js';

export const autonomousPolicy: CommitPolicyType = {
  name: 'autonomous',
  attach: (stream, options) => new AutonomousPolicy(stream, options),
};

const DURABLE = Promise.resolve();

/** A write of this thread that is under way. */
interface OwnWrite {
  readonly end: LogPosition;
  /** Resolves, when it is over, to where it begins. */
  readonly over: Promise<LogPosition>;
}

export class AutonomousPolicy implements CommitPolicy {
  readonly #stream: LogStream;
  readonly #batchBytes: number;
  readonly #depth: number;
  /** In the order of their stretches. */
  readonly #writes: OwnWrite[] = [];
  /** Those for whom the next write is begun. */
  #next: Gathered<LogPosition> | null = null;
  #isDue = false;

  constructor(stream: LogStream, { batchBytes, depth }: CommitPolicyOptions) {
    this.#stream = stream;
    this.#batchBytes = batchBytes;
    this.#depth = depth;
  }

  commit(position: LogPosition, dependsOn = Number.POSITIVE_INFINITY): Promise<void> {
    const stream = this.#stream;
    if (position <= stream.durable) return DURABLE;
    const over = this.#writes.find(({ end }) => end >= position)?.over ?? this.#nextWrite();
    return over.then((begin) => {
      // Another thread may have taken the record before the write was begun for which it waited.
      const isWritten = begin < position;
      const isSafe = (): boolean => position <= stream.durable || (isWritten && dependsOn <= stream.durableTimestamp);
      return isSafe() ? undefined : stream.until(isSafe);
    });
  }

  commitSync(position: LogPosition): void {
    if (position > this.#stream.durable) this.#stream.flushSync();
  }

  #nextWrite(): Promise<LogPosition> {
    this.#next ??= new Gathered<LogPosition>();
    if (!this.#isDue && this.#writes.length < this.#depth) {
      this.#isDue = true;
      // Those that commit in this turn, when a write has ended, go together.
      process.nextTick(this.#begin);
    }
    return this.#next.told;
  }

  readonly #begin = (): void => {
    this.#isDue = false;
    const group = this.#next;
    if (group === null) return;
    const underWay = this.#writes.length;
    if (underWay >= this.#depth) return;
    let write: LogWrite | null;
    try {
      if (underWay > 0 && this.#stream.unwritten < this.#batchBytes) return;
      write = this.#stream.write();
    } catch (error) {
      this.#next = null;
      group.fail(error);
      return;
    }
    this.#next = null;
    if (write === null) {
      group.tell(Number.POSITIVE_INFINITY); // others write all of it
      return;
    }
    const { begin, end } = write;
    const own: OwnWrite = { end, over: group.told };
    this.#writes.push(own);
    const over = (): void => {
      this.#writes.splice(this.#writes.indexOf(own), 1);
      if (this.#next !== null) this.#begin();
    };
    write.over.then(
      () => {
        group.tell(begin);
        over();
      },
      (error) => {
        group.fail(error);
        over();
      },
    );
  };
}
