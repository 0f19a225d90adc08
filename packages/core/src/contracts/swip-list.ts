/**
 * Swips whose pages will be wanted soon, as `PageStore.prefetch` takes them. Made once and used again, so that asking for
 * pages allocates nothing. Each swip is named by the page that holds it, the version that this page had when the offset
 * was found, and the offset: what was read of a page that has changed since then names nothing.
 */

export class SwipList {
  /** Frames of the pages that hold the swips. */
  readonly parents: Int32Array;
  /** The version that each of these had. */
  readonly versions: Int32Array;
  /** Byte offsets of the swips in these pages. */
  readonly offsets: Int32Array;
  count = 0;

  /** Room for so many swips. */
  constructor(readonly capacity: number) {
    this.parents = new Int32Array(capacity);
    this.versions = new Int32Array(capacity);
    this.offsets = new Int32Array(capacity);
  }

  get isFull(): boolean {
    return this.count === this.capacity;
  }

  clear(): void {
    this.count = 0;
  }

  /** Adds a swip, unless it is the one that was added last, or there is no room. The parent is not latched by the caller. */
  add(parent: number, version: number, offset: number): void {
    const { count } = this;
    if (count === this.capacity) return;
    if (count > 0 && this.parents[count - 1] === parent && this.offsets[count - 1] === offset) return;
    this.parents[count] = parent;
    this.versions[count] = version;
    this.offsets[count] = offset;
    this.count = count + 1;
  }
}
