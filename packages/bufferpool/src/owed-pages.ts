/**
 * The pages that a running checkpoint owes and has met: a table of entries in shared memory. There is an entry for a page
 * from the moment at which an image names it whose address is not known yet, or at which the checkpoint comes to it on its
 * way down, until its image is in the file. Pages that are owed and were not met need none.
 *
 * And the *agenda*, a list of entries that the checkpoint is to finish, the last one first: the way from the top of the
 * tree down to where it is. Who needs a page to be finished earlier puts it on top.
 *
 * Must hold: an entry has a frame whose `ENTRY` names it, or an image of its own, put aside or staged. So there are never
 * more entries than frames, images put aside, and images on their way to the file.
 */
import { invariant } from '@pagewright/core/contracts';

/** What is known of an entry, as numbers of its words. */
export const OWED = {
  /** One of the states below. */
  state: 0,
  /** The frame that holds the page, in the closed epoch or after; `NO_FRAME` if none does any more. */
  frame: 1,
  sizeClass: 2,
  /** The extent that held the page before; 0 if there was none. */
  previous: 3,
  /** Where the image goes, and its checksum; from `STAGED` on. */
  address: 4,
  checksum: 5,
  /** Page of the image area; `ASIDE` only. */
  image: 6,
  /** How many pages the image names by entries; `ASIDE` only. */
  pending: 7,
  /** The entry whose image names this one, `TOP`, or 0. */
  namedBy: 8,
  /** Index of the word of that image that names it. */
  namedAt: 9,
  /** Swips before this one name nothing that is owed and not staged. */
  cursor: 10,
  /** 1 while the entry is on the agenda. */
  queued: 11,
  /** The next on the agenda, or the next free entry. */
  next: 12,
} as const;

/** The page is in its frame as it was at the gate. */
export const UNCHANGED = 1;
/** The image was put aside. */
export const ASIDE = 2;
/** The image has its address and is being written. */
export const STAGED = 3;

/** Stands for no entry. */
export const NO_ENTRY = 0;

/** Stands for the root block as the one that names an entry. */
export const TOP = -1;

const WORDS = 13;

const FREE = 0;
const USED = 1;
const HIGHEST = 2;
const AGENDA = 3;
const HEADER_WORDS = 4;

export class OwedPages {
  readonly #words: Int32Array;

  /** Bytes of memory for so many entries. */
  static bytes(capacity: number): number {
    return (HEADER_WORDS + (capacity + 1) * WORDS) * 4;
  }

  /** Over memory of zeros, or what another thread has made of it. */
  constructor(
    memory: SharedArrayBuffer,
    offset: number,
    private readonly capacity: number,
  ) {
    this.#words = new Int32Array(memory, offset, OwedPages.bytes(capacity) / 4);
  }

  get used(): number {
    return this.#words[USED] as number;
  }

  /** The entry to go on with; 0 if nothing is left. */
  get agenda(): number {
    return this.#words[AGENDA] as number;
  }

  get(entry: number, field: number): number {
    return this.#words[HEADER_WORDS + entry * WORDS + field] as number;
  }

  set(entry: number, field: number, value: number): void {
    this.#words[HEADER_WORDS + entry * WORDS + field] = value;
  }

  /** An entry of zeros but for these. Numbers begin at 1. */
  add(frame: number, sizeClass: number, previous: number): number {
    const words = this.#words;
    let entry = words[FREE] as number;
    if (entry !== 0) words[FREE] = this.get(entry, OWED.next);
    else {
      entry = (words[HIGHEST] as number) + 1;
      invariant(entry <= this.capacity, 'A checkpoint owes more pages than can be dirty at once');
      words[HIGHEST] = entry;
    }
    words[USED] = this.used + 1;
    const at = HEADER_WORDS + entry * WORDS;
    words.fill(0, at, at + WORDS);
    words[at + OWED.state] = UNCHANGED;
    words[at + OWED.frame] = frame;
    words[at + OWED.sizeClass] = sizeClass;
    words[at + OWED.previous] = previous;
    return entry;
  }

  remove(entry: number): void {
    this.unqueue(entry);
    this.set(entry, OWED.state, 0);
    this.set(entry, OWED.next, this.#words[FREE] as number);
    this.#words[FREE] = entry;
    this.#words[USED] = this.used - 1;
  }

  clear(): void {
    this.#words.fill(0, 0, HEADER_WORDS);
  }

  forEach(visit: (entry: number) => void): void {
    const highest = this.#words[HIGHEST] as number;
    for (let entry = 1; entry <= highest; entry++) if (this.get(entry, OWED.state) !== 0) visit(entry);
  }

  /** Puts an entry on top of the agenda, wherever it was. */
  queue(entry: number): void {
    this.unqueue(entry);
    this.set(entry, OWED.queued, 1);
    this.set(entry, OWED.next, this.agenda);
    this.#words[AGENDA] = entry;
  }

  /** Takes an entry off the agenda, where it is near the top, if it is there. */
  unqueue(entry: number): void {
    if (this.get(entry, OWED.queued) === 0) return;
    const next = this.get(entry, OWED.next);
    this.set(entry, OWED.queued, 0);
    if (this.agenda === entry) {
      this.#words[AGENDA] = next;
      return;
    }
    let above = this.agenda;
    while (this.get(above, OWED.next) !== entry) above = this.get(above, OWED.next);
    this.set(above, OWED.next, next);
  }
}
