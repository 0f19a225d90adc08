/**
 * What a commit replaces, for the snapshots that may want to see it. It is read before the commit is appended to the
 * log: a page that cannot be read must refuse the commit, and not fail an engine whose log has it already (T6).
 */
import { EntryReference, OPERATION_DELETE, TAG_VALUE } from '@pagewright/core';
import type { TargetedOperation } from './commit-path.js';
import { keyText } from './key-text.js';
import type { SnapshotList } from './snapshots.js';
import type { VersionStore } from './version-store.js';

/** The entry that an operation replaces, as far as the operation needs to know it. */
export interface ReplacedEntry {
  readonly key: string;
  /** Some snapshot can see it: it becomes a version. */
  readonly wanted: boolean;
  /** Whether there is a value. Only asked for if it is wanted, or to be deleted. */
  readonly present: boolean;
  /** Null if it is not wanted, or absent. */
  readonly value: Uint8Array | null;
}

export class ReplacedEntries {
  private readonly found = new EntryReference();

  /**
   * The entries that the operations replace, in their order. It stops when what it has read is more than `versionMemory`:
   * installing that much revokes all snapshots (T4), and what is installed after them replaces nothing that is wanted.
   */
  read(
    operations: readonly TargetedOperation[],
    versions: VersionStore,
    snapshots: SnapshotList,
    versionMemory: number,
  ): ReplacedEntry[] {
    const entries: ReplacedEntry[] = [];
    let bytes = 0;
    for (let i = 0; i < operations.length && bytes <= versionMemory; i++) {
      const entry = this.readOne(operations[i]!, versions, snapshots);
      if (entry.value !== null) bytes += entry.value.length;
      entries.push(entry);
    }
    return entries;
  }

  private readOne(operation: TargetedOperation, versions: VersionStore, snapshots: SnapshotList): ReplacedEntry {
    const { target, key } = operation;
    const text = keyText(key);
    // If the key was replaced after the newest snapshot began, no one can see what is there now.
    const wanted = versions.lastReplacement(target.index, text) <= snapshots.newestTimestamp;
    if (!wanted && operation.kind !== OPERATION_DELETE) return { key: text, wanted, present: false, value: null };
    const found = this.found;
    found.wantsValue = wanted;
    const present = target.index.lookup(key, found) && found.tag === TAG_VALUE;
    return { key: text, wanted, present, value: present && wanted ? found.value : null };
  }
}
