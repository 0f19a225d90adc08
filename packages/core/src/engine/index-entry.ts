/**
 * One index of an open store: what the catalog says of it, and the tree that it has now. It is the living
 * {@link Target} of concurrency control: `clear` gives it another tree and incarnation, and what it was before becomes
 * its predecessor, for as long as an older snapshot may read it (T7).
 */
import type { Concurrency, Target } from '../contracts/concurrency.js';
import type { Index, IndexContext, IndexType } from '../contracts/index-plugin.js';
import type { PageStore, SwipLocation } from '../contracts/pages.js';
import { PagewrightError } from '../errors.js';
import type { IndexDescription } from './catalog-layout.js';

/** Told before the first tombstone of a tree is written. */
export type TombstonesNoted = (entry: IndexEntry) => void;

export class IndexEntry implements Target {
  predecessor: PastIncarnation | null = null;
  dropped = false;
  mayHaveTombstones = false;
  private tree: Index | null = null;
  /** Why its tree cannot be read: a reader went on to a checkpoint whose catalog it could not read. */
  private lost: unknown = null;

  constructor(
    readonly number: number,
    readonly description: IndexDescription,
    /** The swip of its root, in a slot of the catalog. */
    public location: SwipLocation,
    public incarnation: number,
    private readonly tombstonesNoted: TombstonesNoted,
  ) {}

  get name(): string {
    return this.description.name;
  }

  /** Call {@link open} first. */
  get index(): Index {
    if (this.tree !== null) return this.tree;
    if (this.lost !== null) throw this.lost;
    throw new PagewrightError('PW_INTERNAL', `The index '${this.name}' was used before it was opened.`);
  }

  get isOpen(): boolean {
    return this.tree !== null;
  }

  /** Makes the tree ready for use. Idempotent. Errors: `PW_INDEX_UNKNOWN` if no plugin knows its type. */
  open(pages: PageStore, types: ReadonlyMap<string, IndexType>): void {
    if (this.lost !== null) throw this.lost;
    this.tree ??= this.type(types).open(this.context(pages));
  }

  /** Puts an empty tree at the location, whose swip is null. */
  create(pages: PageStore, types: ReadonlyMap<string, IndexType>, timestamp: number): void {
    this.tree = this.type(types).create(this.context(pages), timestamp);
  }

  /** The plugin that knows its type. Errors: `PW_INDEX_UNKNOWN`. */
  type(types: ReadonlyMap<string, IndexType>): IndexType {
    const type = types.get(this.description.type);
    if (type !== undefined) return type;
    throw new PagewrightError(
      'PW_INDEX_UNKNOWN',
      `The index '${this.name}' is of type '${this.description.type}', and no plugin of this engine brings that type. Add it to \`indexes\`; there are: ${[...types.keys()].join(', ')}.`,
      { details: { index: this.name, type: this.description.type, known: [...types.keys()] } },
    );
  }

  /** Leaves the present tree to older snapshots, and starts again at another location. */
  begin(incarnation: number, location: SwipLocation): void {
    if (this.tree !== null) {
      this.predecessor = new PastIncarnation(this, this.tree, incarnation, this.predecessor);
    }
    this.tree = null;
    this.incarnation = incarnation;
    this.location = location;
    this.mayHaveTombstones = false;
  }

  /** Until {@link goOn} all use of it throws this: where its tree was, there may be anything. */
  lose(error: unknown): void {
    this.tree = null;
    this.lost = error;
  }

  /** The tree is that of a later checkpoint now, and was not opened yet. */
  goOn({ location, incarnation, mayHaveTombstones }: IndexEntry): void {
    this.tree = null;
    this.lost = null;
    this.location = location;
    this.incarnation = incarnation;
    this.mayHaveTombstones = mayHaveTombstones;
  }

  /**
   * Forgets incarnations that no snapshot sees, whether older and newer ones are seen or not. A snapshot finds its own as before: it goes past those that are
   * newer than it is, and none of them would have been where it ends.
   */
  forgetUnseen(isSeen: Concurrency['isSeen']): void {
    let after: IndexEntry | PastIncarnation = this;
    for (let past = after.predecessor; past !== null; past = past.predecessor) {
      if (isSeen(past.incarnation, past.below)) after = past;
      else after.predecessor = past.predecessor;
    }
  }

  noteTombstones(): void {
    if (!this.mayHaveTombstones) this.tombstonesNoted(this);
  }

  private context(pages: PageStore): IndexContext {
    return { pages, number: this.number, root: this.location };
  }
}

/** What an index was before a `clear`. It is read and never written. */
class PastIncarnation implements Target {
  readonly number: number;
  readonly name: string;
  readonly incarnation: number;
  readonly dropped = false;

  constructor(
    { number, name, incarnation }: IndexEntry,
    readonly index: Index,
    /** The next incarnation, also if that is forgotten: snapshots from it on do not see this one. */
    readonly below: number,
    public predecessor: PastIncarnation | null,
  ) {
    this.number = number;
    this.name = name;
    this.incarnation = incarnation;
  }

  noteTombstones(): void {}
}
