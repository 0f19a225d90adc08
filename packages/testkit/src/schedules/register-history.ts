/**
 * What was written to and read from single keys, and when by a clock that counts. Every write is unique, which makes it
 * quick to tell whether there is an order in which all of it could have happened, one after another (linearizability;
 * Gibbons and Korach, Testing Shared Memories, SIAM J. Comput. 1997).
 *
 * Never says that something is wrong which is not: what is uncertain, as the writes of an engine that lost power, counts
 * as possible.
 */

/** A write of a key. Absence is written by many: by deletions, and at the beginning. */
export interface RegisterWrite {
  readonly id: number;
  readonly absent: boolean;
  readonly start: number;
  /** Infinity while nobody was told of its end. */
  end: number;
}

interface RegisterRead {
  /** The write that it saw; null for absence. */
  readonly id: number | null;
  readonly start: number;
  readonly end: number;
}

interface Register {
  readonly writes: RegisterWrite[];
  readonly reads: RegisterRead[];
}

export class RegisterHistory {
  readonly #registers = new Map<string, Register>();
  #clock = 0;
  #lastId = 0;

  /** The next instant. */
  now(): number {
    return ++this.#clock;
  }

  nextId(): number {
    return ++this.#lastId;
  }

  keys(): string[] {
    return [...this.#registers.keys()];
  }

  /** A write begins. */
  beginWrite(key: string, id: number, absent: boolean): RegisterWrite {
    const write = { id, absent, start: this.now(), end: Number.POSITIVE_INFINITY };
    this.#register(key).writes.push(write);
    return write;
  }

  /** What is known to be there before anything happens. */
  initial(key: string, id: number): void {
    this.#register(key).writes.push({ id, absent: false, start: 0, end: 0 });
    this.#lastId = Math.max(this.#lastId, id);
  }

  /** The write is known not to have happened. */
  void(key: string, write: RegisterWrite): void {
    const { writes } = this.#register(key);
    const at = writes.indexOf(write);
    if (at >= 0) writes.splice(at, 1);
  }

  /** A read is over, which began at `start`. */
  read(key: string, id: number | null, start: number, end = this.now()): void {
    this.#register(key).reads.push({ id, start, end });
  }

  /** Power is lost: what was read of writes that nobody was told of says nothing of what is there afterwards. */
  forgetReads(): void {
    for (const { reads } of this.#registers.values()) reads.length = 0;
  }

  /** Throws if no order explains what was read. */
  check(): void {
    for (const [key, register] of this.#registers) {
      for (const read of register.reads) checkRead(key, register, read);
      checkZones(key, register);
    }
  }

  #register(key: string): Register {
    let register = this.#registers.get(key);
    if (register === undefined) {
      register = { writes: [{ id: 0, absent: true, start: 0, end: 0 }], reads: [] };
      this.#registers.set(key, register);
    }
    return register;
  }
}

/** What was read was there: its write had begun, and no other came between for sure. */
function checkRead(key: string, { writes }: Register, read: RegisterRead): void {
  const sources = writes.filter((write) => (read.id === null ? write.absent : write.id === read.id));
  const begun = sources.filter((write) => write.start <= read.end);
  const standing = begun.filter(
    (source) => !writes.some((other) => other !== source && source.end < other.start && other.end < read.start),
  );
  if (standing.length > 0) return;
  const what = read.id === null ? 'absent' : `write ${read.id}`;
  const why = begun.length > 0 ? 'which was overwritten before the read began' : 'which nobody wrote';
  throw new Error(`A read of ${key} from ${read.start} to ${read.end} gives ${what}, ${why}. ${historyOf(writes)}`);
}

/**
 * All that has to do with one write, its reads included, takes a stretch of time; from the first end to the last start the
 * write was there all the time, if that is a stretch at all. Two such stretches do not overlap.
 */
function checkZones(key: string, { writes, reads }: Register): void {
  const zones = writes
    .filter(({ absent }) => !absent)
    .map(({ id, start, end }) => {
      const zone = { id, from: end, to: start };
      for (const read of reads) {
        if (read.id !== id) continue;
        zone.from = Math.min(zone.from, read.end);
        zone.to = Math.max(zone.to, read.start);
      }
      return zone;
    });
  const forward = zones.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from);
  for (let at = 1; at < forward.length; at++) {
    const [before, after] = [forward[at - 1], forward[at]] as [(typeof zones)[0], (typeof zones)[0]];
    if (before.to > after.from)
      throw new Error(`${key} had writes ${before.id} and ${after.id} at once, or one came back. ${historyOf(writes)}`);
  }
  for (const zone of zones) {
    if (zone.from < zone.to) continue;
    const around = forward.find(({ from, to }) => from < zone.to && zone.from < to);
    if (around !== undefined)
      throw new Error(`${key} had write ${zone.id} in the midst of ${around.id}. ${historyOf(writes)}`);
  }
}

function historyOf(writes: readonly RegisterWrite[]): string {
  const last = writes
    .slice(-12)
    .map(({ id, absent, start, end }) => `${absent ? 'absence' : 'write'} ${id} [${start}, ${end}]`);
  return `Writes: ${last.join(', ')}`;
}
