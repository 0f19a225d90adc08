/**
 * What a transaction has written and not committed: the last change of each key, found by key, in order of key when a
 * scan or the commit asks, and undone back to a savepoint.
 */
import { type LogOperation, OPERATION_DELETE, OPERATION_PUT, PagewrightError, type Target } from '@pagewright/core';
import { keyText } from './key-text.js';

const NOTHING: Uint8Array = new Uint8Array(0);

/** One change, in the form in which it is logged. Never changes once made: another one takes its place. */
export class BufferedWrite implements LogOperation {
  readonly kind: number;
  readonly index: number;
  readonly value: Uint8Array;

  constructor(
    readonly target: Target,
    readonly key: Uint8Array,
    readonly text: string,
    value: Uint8Array | null,
  ) {
    this.kind = value === null ? OPERATION_DELETE : OPERATION_PUT;
    this.index = target.number;
    this.value = value ?? NOTHING;
  }

  get deletes(): boolean {
    return this.kind === OPERATION_DELETE;
  }
}

/** The changes of one index. */
class TargetWrites {
  readonly byKey = new Map<string, BufferedWrite>();
  /** Keys in order, but for those in `unsorted`. Null: to be made anew. */
  private sorted: string[] | null = [];
  private unsorted: string[] = [];

  set(write: BufferedWrite): BufferedWrite | undefined {
    const before = this.byKey.get(write.text);
    if (before === undefined) this.unsorted.push(write.text);
    this.byKey.set(write.text, write);
    return before;
  }

  restore(text: string, before: BufferedWrite | undefined): void {
    if (before === undefined) {
      this.byKey.delete(text);
      this.sorted = null;
    } else {
      this.byKey.set(text, before);
    }
  }

  /** All keys in order. A scan that writes as it goes asks again and again: what is new is sorted and merged in. */
  keys(): readonly string[] {
    if (this.sorted === null) {
      this.sorted = [...this.byKey.keys()].sort();
      this.unsorted = [];
    } else if (this.unsorted.length > 0) {
      this.sorted = this.sorted.length === 0 ? this.unsorted.sort() : mergeSorted(this.sorted, this.unsorted.sort());
      this.unsorted = [];
    }
    return this.sorted;
  }
}

/** What must be put back to undo one change. */
interface Undo {
  readonly writes: TargetWrites;
  readonly text: string;
  readonly before: BufferedWrite | undefined;
  readonly bytes: number;
}

export class WriteBuffer {
  count = 0;
  /** Bytes of keys and values. */
  bytes = 0;
  private readonly byTarget = new Map<Target, TargetWrites>();
  /** Filled only while there are savepoints. */
  private readonly undo: Undo[] = [];
  private readonly savepoints: { readonly id: number; readonly undoLength: number }[] = [];
  private lastSavepoint = 0;

  constructor(private readonly maxBytes: number) {}

  /** The change of this key, if there is one. */
  find(target: Target, key: Uint8Array): BufferedWrite | undefined {
    return this.byTarget.get(target)?.byKey.get(keyText(key));
  }

  findText(target: Target, text: string): BufferedWrite | undefined {
    return this.byTarget.get(target)?.byKey.get(text);
  }

  /** The changed keys of an index, in order; null if there are none. */
  keysOf(target: Target): readonly string[] | null {
    return this.byTarget.get(target)?.keys() ?? null;
  }

  /** Errors: `PW_TXN_TOO_LARGE`, nothing changed. */
  set(target: Target, key: Uint8Array, value: Uint8Array | null): void {
    const write = new BufferedWrite(target, key, keyText(key), value);
    let writes = this.byTarget.get(target);
    if (writes === undefined) {
      writes = new TargetWrites();
      this.byTarget.set(target, writes);
    }
    const replaced = writes.byKey.get(write.text);
    const bytes = this.bytes + sizeOf(write) - (replaced === undefined ? 0 : sizeOf(replaced));
    if (bytes > this.maxBytes) {
      throw new PagewrightError(
        'PW_TXN_TOO_LARGE',
        `The transaction would write ${bytes} bytes; at most ${this.maxBytes} fit in one. Divide it into several transactions.`,
        { details: { bytes, limit: this.maxBytes } },
      );
    }
    writes.set(write);
    if (this.savepoints.length > 0) this.undo.push({ writes, text: write.text, before: replaced, bytes: this.bytes });
    if (replaced === undefined) this.count++;
    this.bytes = bytes;
  }

  savepoint(): number {
    const id = ++this.lastSavepoint;
    this.savepoints.push({ id, undoLength: this.undo.length });
    return id;
  }

  /** Undoes what came after the savepoint, later savepoints included; the savepoint itself stays. Errors: `PW_ARGUMENT`. */
  rollbackTo(id: number): void {
    const position = this.savepoints.findIndex((savepoint) => savepoint.id === id);
    const savepoint = this.savepoints[position];
    if (savepoint === undefined) {
      throw new PagewrightError(
        'PW_ARGUMENT',
        `${String(id)} is not a savepoint of this transaction, or one that was rolled back. Pass what savepoint() returned.`,
        { details: { savepoint: id } },
      );
    }
    this.savepoints.length = position + 1;
    while (this.undo.length > savepoint.undoLength) {
      const { writes, text, before, bytes } = this.undo.pop()!;
      writes.restore(text, before);
      if (before === undefined) this.count--;
      this.bytes = bytes;
    }
  }

  *[Symbol.iterator](): Generator<BufferedWrite> {
    for (const writes of this.byTarget.values()) yield* writes.byKey.values();
  }

  /** All changes, by number of index, then by key: the order in which they are logged and installed. */
  inOrder(): BufferedWrite[] {
    const ordered: BufferedWrite[] = [];
    const targets = [...this.byTarget.keys()].sort((a, b) => a.number - b.number);
    for (const target of targets) {
      const writes = this.byTarget.get(target)!;
      for (const text of writes.keys()) ordered.push(writes.byKey.get(text)!);
    }
    return ordered;
  }
}

function sizeOf(write: BufferedWrite): number {
  return write.key.length + write.value.length;
}

function mergeSorted(a: readonly string[], b: readonly string[]): string[] {
  const merged = new Array<string>(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < merged.length; at++) {
    const takeFirst = j === b.length || (i < a.length && a[i]! < b[j]!);
    merged[at] = takeFirst ? a[i++]! : b[j++]!;
  }
  return merged;
}
