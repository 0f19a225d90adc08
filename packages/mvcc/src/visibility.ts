/**
 * Which entries a snapshot sees: the tree that an index was at that time (T7), and in it the entry as it was then (T2).
 */
import {
  type EntryReference,
  type Index,
  PagewrightError,
  type Snapshot,
  TAG_VALUE,
  type Target,
} from '@pagewright/core';
import { keyText } from './key-text.js';
import type { VersionStore } from './version-store.js';

/** The tree that holds what the index was at that timestamp; null if it held nothing that is still known, as before its creation. */
export function treeAt(target: Target, timestamp: number): Index | null {
  let incarnation: Target | null = target;
  while (incarnation !== null && incarnation.incarnation > timestamp) incarnation = incarnation.predecessor;
  return incarnation === null ? null : incarnation.index;
}

export function assertNotDropped(target: Target): void {
  if (!target.dropped) return;
  throw new PagewrightError(
    'PW_INDEX_DROPPED',
    `The index '${target.name}' was dropped. Open or create it again with index().`,
    {
      details: { index: target.name },
    },
  );
}

/** Looks up the newest entry. True only if it has a value. */
export function lookupNewest(target: Target, key: Uint8Array, into: EntryReference): boolean {
  if (target.dropped) assertNotDropped(target);
  return target.index.lookup(key, into) && into.tag === TAG_VALUE;
}

/** Looks up the entry that the snapshot sees. Errors: `PW_SNAPSHOT_TOO_OLD`. */
export function lookupAt(
  versions: VersionStore,
  target: Target,
  key: Uint8Array,
  into: EntryReference,
  snapshot: Snapshot,
): boolean {
  if (target.dropped) assertNotDropped(target);
  snapshot.assertStands();
  const tree = treeAt(target, snapshot.timestamp);
  if (tree === null) return false;
  const found = tree.lookup(key, into);
  // T2: a page that no later commit has touched holds what the snapshot sees.
  if (into.timestamp <= snapshot.timestamp || !versions.holds(tree)) {
    snapshot.assertStands();
    return found && into.tag === TAG_VALUE;
  }
  const version = versions.find(tree, keyText(key), snapshot.timestamp);
  // T4: that nothing was found means something only if nothing was given up meanwhile.
  snapshot.assertStands();
  if (version === null) return found && into.tag === TAG_VALUE;
  if (version.value === null) return false;
  into.tag = TAG_VALUE;
  // The store's own bytes stay its own, whatever the caller does with the result.
  if (into.wantsValue) into.value = version.value.slice();
  return true;
}
