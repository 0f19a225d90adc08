/**
 * What a commit replaces, for the snapshots that may want to see it. It is read before the commit is appended to the
 * log: a page that cannot be read must refuse the commit, and not fail an engine whose log has it already (T6).
 */
import { EntryReference, OPERATION_DELETE, TAG_VALUE } from '@pagewright/core';
import type { CommitOperations, TargetedOperation } from './commit-operations.js';
import type { VersionStore } from './version-store.js';

/** The entry that an operation replaces, as far as the operation needs to know it. */
export interface ReplacedEntry {
  /** Some snapshot may see it: it becomes a version. */
  readonly wanted: boolean;
  /** Whether there is a value. Only asked for if it is wanted, or to be deleted. */
  readonly present: boolean;
  /** Null if it is not wanted, or absent. */
  readonly value: Uint8Array | null;
}

export class ReplacedEntries {
  private readonly found = new EntryReference();

  /**
   * The entries that the operations replace, in their order. It stops when what it has read is more than versions may take:
   * installing that much revokes all snapshots (T4), and what is installed after them replaces nothing that is wanted.
   * With `all`, whether or not a snapshot that is open by now can see them.
   */
  read(operations: CommitOperations, versions: VersionStore, all: boolean): ReplacedEntry[] {
    const entries: ReplacedEntry[] = [];
    let bytes = 0;
    for (let i = 0; i < operations.length && bytes <= versions.limit; i++) {
      const entry = this.readOne(operations.at(i), versions, all);
      if (entry.value !== null) bytes += entry.value.length;
      entries.push(entry);
    }
    return entries;
  }

  private readOne({ target, key, kind }: TargetedOperation, versions: VersionStore, all: boolean): ReplacedEntry {
    // If the key was replaced after the newest snapshot began, no one can see what is there now.
    const wanted = all || versions.isWanted(target, key);
    if (!wanted && kind !== OPERATION_DELETE) return NOT_WANTED;
    const found = this.found;
    found.wantsValue = wanted;
    const present = target.index.lookup(key, found) && found.tag === TAG_VALUE;
    return { wanted, present, value: present && wanted ? found.value : null };
  }
}

const NOT_WANTED: ReplacedEntry = { wanted: false, present: false, value: null };
