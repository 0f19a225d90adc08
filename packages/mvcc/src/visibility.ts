/**
 * Which entries a snapshot sees: the tree that an index was at that time (T7), and in it the entry as it was then (T2).
 */
import { type EntryReference, PagewrightError, type Snapshot, TAG_VALUE, type Target } from '@pagewright/core';
import { IN_INDEX, type VersionStore, WAS_ABSENT } from './version-store.js';

/** The incarnation that holds what the index was at that timestamp; null if it held nothing that is still known, as before its creation. */
export function incarnationAt(target: Target, timestamp: number): Target | null {
  let incarnation: Target | null = target;
  while (incarnation !== null && incarnation.incarnation > timestamp) incarnation = incarnation.predecessor;
  return incarnation;
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
  const incarnation = incarnationAt(target, snapshot.timestamp);
  if (incarnation === null) return false;
  // The entry first, then its versions: why this order is right beside commits is told in version-store.ts.
  const found = incarnation.index.lookup(key, into);
  // T2: a page that no later commit has touched holds what the snapshot sees.
  if (into.timestamp <= snapshot.timestamp || !versions.holds(incarnation.number)) {
    snapshot.assertStands();
    return found && into.tag === TAG_VALUE;
  }
  const version = versions.find(incarnation, key, snapshot.timestamp);
  if (version === IN_INDEX || version === WAS_ABSENT) {
    // T4: that nothing was found means something only if nothing was given up meanwhile.
    snapshot.assertStands();
    return version === IN_INDEX && found && into.tag === TAG_VALUE;
  }
  if (into.wantsValue) into.value = versions.valueOf(version);
  snapshot.assertStands();
  into.tag = TAG_VALUE;
  return true;
}
