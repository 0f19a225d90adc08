/**
 * The journal of the preloaded layer, as `native/volatile.c` writes it: records in the order of their effects. A process
 * that was killed may leave the last one short; it then counts as never written.
 */

const MAGIC = 0x4a435750;
const HEADER_BYTES = 48;
const AT = { magic: 0, kind: 4, sequence: 8, object: 16, offset: 24, length: 32, reference: 40 } as const;

/** Their numbers are their places, from 1. */
const KINDS = [
  'create',
  'adopt',
  'write',
  'resize',
  'extend',
  'sync',
  'sync-directory',
  'synced',
  'cut-short',
  'link',
  'unlink',
  'rename',
  'make-directory',
  'remove-directory',
] as const;

export type RecordKind = (typeof KINDS)[number];

export interface JournalRecord {
  readonly kind: RecordKind;
  readonly sequence: number;
  /** Number of the file, which it keeps under other names; for `sync`, 0 means all files and directories. */
  readonly object: number;
  /** `write`: the place; `resize` and `extend`: the size; `synced`: errno, or 0; `cut-short`: bytes written after all. */
  readonly offset: number;
  /** `synced` and `cut-short`: sequence of the record that they are about. */
  readonly reference: number;
  /** What was written, a path, or of a `sync` of some bytes alone their place; a view. */
  readonly data: Uint8Array;
}

/** All records. Throws if the journal is not one. */
export function* readJournal(bytes: Buffer): Generator<JournalRecord> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const kind = KINDS[bytes.readUInt32LE(at + AT.kind) - 1];
    if (bytes.readUInt32LE(at + AT.magic) !== MAGIC || kind === undefined) {
      throw new Error(`The journal of the power-cut layer has no record at ${at} of ${bytes.length} bytes.`);
    }
    const number = (field: keyof typeof AT): number => Number(bytes.readBigUInt64LE(at + AT[field]));
    const end = at + HEADER_BYTES + number('length');
    if (end > bytes.length) return;
    yield {
      kind,
      sequence: number('sequence'),
      object: number('object'),
      offset: number('offset'),
      reference: number('reference'),
      data: bytes.subarray(at + HEADER_BYTES, end),
    };
    at = end;
  }
}

/** The bytes that a `sync` is of; undefined if it is of the whole file. */
export function rangeOf({ data }: JournalRecord): { readonly offset: number; readonly length: number } | undefined {
  if (data.length === 0) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return { offset: Number(view.getBigUint64(0, true)), length: Number(view.getBigUint64(8, true)) };
}

/** The path of a record, below the directory: `''` is the directory itself, all others begin with a slash. */
export function pathOf(record: JournalRecord): string {
  return Buffer.from(record.data).toString();
}

/** The two paths of a `link` or `rename`. */
export function pathsOf(record: JournalRecord): { readonly from: string; readonly to: string } {
  const [from, to] = pathOf(record).split('\0');
  return { from: from as string, to: to as string };
}
