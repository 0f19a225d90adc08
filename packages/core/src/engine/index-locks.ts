/**
 * The lines in which changes wait for indexes, one for each index. A bulk load has its index for as long as it goes on: it is the first in that line, and whoever
 * changes the index meanwhile is behind it. Who waits for a load of another thread is in line as well, so that those who come later wait for it, and not for that
 * load alone. What is changed in place is refused while a load is in line. Readers do not look here.
 *
 * Must hold: of two changes that share an index the one that was asked for first takes effect first, and a load takes effect after all that were asked for before it. So who waits has a place in
 * the lines of all indexes that it changes, by when it was asked for, and goes on when it is the first in each of them. Who has gone on, and finds that it must wait again, comes back to that place, and stays there until
 * it has taken effect; those behind it that have gone on as well look here before they commit, and come back too. Nobody waits for what was asked for later, and a load that has begun waits for no
 * change, here or in another thread: so nobody waits for himself.
 */
import type { Target } from '../contracts/concurrency.js';
import { PagewrightError } from '../errors.js';

/** Where a change stands in the line of one index. */
interface Stand {
  readonly place: IndexPlace;
  readonly target: Target;
  before: Stand | null;
  after: Stand | null;
}

interface Line {
  /** In the order in which they were asked for. */
  first: Stand;
  last: Stand;
  /** Those of them that load the index. */
  loads: readonly IndexPlace[];
}

type Lines = Map<Target, Line>;

export class IndexLocks {
  private readonly lines: Lines = new Map();
  /** So many have asked. */
  private asked = 0;

  /** Whether anybody is in line: one test on the way of every commit. */
  get any(): boolean {
    return this.lines.size > 0;
  }

  /** The place of a change that is asked for now; in line when it joins. */
  place(targets: () => Iterable<Target>): IndexPlace {
    return new IndexPlace(this.lines, ++this.asked, targets, false);
  }

  /** The place of a load that is asked for now, in line. */
  load(target: Target): IndexPlace {
    const place = new IndexPlace(this.lines, ++this.asked, () => [target], true);
    place.join();
    return place;
  }

  /**
   * Errors: `PW_INDEX_LOADING` if one of the indexes is being loaded, or to be loaded. For a transaction that has the turn, where there are turns, what counts is a load that has had its own: other loads
   * wait for that transaction.
   */
  assertFree(targets: Iterable<Target>, hasTurn = false): void {
    for (const target of targets) {
      const loads = this.lines.get(target)?.loads;
      if (loads === undefined || !loads.some((load) => load.hadTurn || !hasTurn)) continue;
      throw new PagewrightError(
        'PW_INDEX_LOADING',
        `The index '${target.name}' is being loaded, and takes no change in place until that is over. Wait for bulkLoad(), or make the change asynchronously: that waits by itself.`,
        { details: { index: target.name } },
      );
    }
  }
}

/** The place of one change, in the lines of all indexes that it changes or in none. */
export class IndexPlace {
  /** Of a load, where one writes at a time: it has had the turn, and waits for no transaction any more. */
  hadTurn = false;
  private stands: readonly Stand[] | null = null;
  private known: ReadonlySet<Target> | null = null;
  private goOn = (): void => {};

  constructor(
    private readonly lines: Lines,
    private readonly number: number,
    private readonly changed: () => Iterable<Target>,
    private readonly isLoad: boolean,
  ) {}

  /** The indexes that are changed. */
  get targets(): ReadonlySet<Target> {
    this.known ??= new Set(this.changed());
    return this.known;
  }

  /** Whether one that was asked for before is in line for one of the indexes. */
  get isBehind(): boolean {
    if (this.lines.size === 0) return false;
    for (const target of this.targets) {
      const line = this.lines.get(target);
      if (line !== undefined && line.first.place.number < this.number) return true;
    }
    return false;
  }

  get isInLine(): boolean {
    return this.stands !== null;
  }

  /** Takes the place, before all that were asked for later. */
  join(): void {
    this.stands ??= Array.from(this.targets, (target) => this.standFor(target));
  }

  /** Resolves when it is the first in all lines, or has left. It may be so for a moment only. */
  async comesFirst(): Promise<void> {
    while (this.isInLine && this.isBehind) {
      await new Promise<void>((resolve) => {
        this.goOn = resolve;
      });
    }
  }

  /** Gives the place up; those behind it go on. Idempotent. */
  leave(): void {
    const { stands } = this;
    if (stands === null) return;
    this.stands = null;
    for (const stand of stands) this.giveUp(stand);
    this.goOn();
  }

  private standFor(target: Target): Stand {
    const line = this.lines.get(target);
    const stand: Stand = { place: this, target, before: null, after: null };
    if (line === undefined) {
      this.lines.set(target, { first: stand, last: stand, loads: this.isLoad ? [this] : [] });
      return stand;
    }
    if (this.isLoad) line.loads = [...line.loads, this];
    // Who comes back has most of the line behind it, who comes has all of it before it.
    if (line.last.place.number < this.number) {
      stand.before = line.last;
    } else {
      stand.after = line.first;
      while (stand.after.place.number < this.number) stand.after = stand.after.after!;
      stand.before = stand.after.before;
    }
    if (stand.before === null) line.first = stand;
    else stand.before.after = stand;
    if (stand.after === null) line.last = stand;
    else stand.after.before = stand;
    return stand;
  }

  private giveUp({ target, before, after }: Stand): void {
    const line = this.lines.get(target)!;
    if (this.isLoad) line.loads = line.loads.filter((load) => load !== this);
    if (after !== null) after.before = before;
    if (before !== null) before.after = after;
    if (before === null && after === null) {
      this.lines.delete(target);
      return;
    }
    if (after === null) line.last = before!;
    if (before === null) {
      line.first = after!;
      line.first.place.goOn();
    }
  }
}
