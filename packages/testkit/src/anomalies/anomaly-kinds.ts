/**
 * The anomalies that histories are looked through for, and which of them an isolation level allows.
 *
 * A version is what a transaction leaves of a key; what it writes and replaces itself is intermediate, and what it undoes, or aborts with, is none. Dependencies,
 * as in Adya, Liskov and O'Neil, Generalized Isolation Level Definitions, ICDE 2000 (section 4.4):
 * - *ww*: one transaction installed a version, the other the next one of the same key;
 * - *wr*: one installed a version, the other read it;
 * - *rw* (anti-dependency): one read a version, the other installed the next one. By a *predicate*, if a range was read and the other inserted a key
 *   within its bounds, which had no version yet. A key that was found and is deleted later was read itself, and counts as an item.
 */

import { checkOneOf } from '../option-check.js';

export type AnomalyKind =
  /** A cycle of ww alone: *dirty write* (Adya et al., 5.1). */
  | 'G0'
  /** A committed transaction read, or built upon, a write of one that was aborted, or that was undone: *aborted read* (Adya et al., 5.2). */
  | 'G1a'
  /** A committed transaction read, or built upon, a write of another one that this one replaced itself: *intermediate read* (Adya et al., 5.2). */
  | 'G1b'
  /** A cycle of ww and wr, with at least one wr: *circular information flow* (Adya et al., 5.2). */
  | 'G1c'
  /**
   * Two transactions replaced the same version, so that one does not contain what the other has written: *lost update* (P4: Berenson et al., A Critique of
   * ANSI SQL Isolation Levels, SIGMOD 1995). Both have read the version, so it is the cycle rw, ww on one key.
   */
  | 'lost-update'
  /** A cycle with exactly one rw: *read skew*; G-single, of the family of G-SI (Adya, Weak Consistency, PhD thesis, MIT 1999, chapter 4). */
  | 'G-single'
  /**
   * A cycle with several rw, no two of them in a row: with two, *long fork*: two transactions see two writes in opposite orders (Sovran et al., Transactional
   * Storage for Geo-replicated Systems, SOSP 2011). No execution under snapshot isolation has such a cycle (Fekete et al., Making Snapshot Isolation
   * Serializable, TODS 2005; Cerone and Gotsman, Analysing Snapshot Isolation, PODC 2016).
   */
  | 'G-nonadjacent'
  /** A cycle with two rw in a row, all rw by items: *write skew* (A5B of Berenson et al.; G2-item of Adya et al., 5.4). */
  | 'G2-item'
  /** A cycle with two rw in a row that needs one by a predicate: *write skew with a phantom* (G2 of Adya et al., 5.3). */
  | 'G2'
  /** A transaction does not see what it has written itself (*internal*: Kingsbury and Alvaro, Elle, VLDB 2020). */
  | 'internal'
  /** An answer that no order of transactions explains: a value that nobody wrote, a key that is gone and was not deleted, a range out of order or bounds. */
  | 'garbage';

/** What people call them. */
export const ANOMALY_NAMES: Readonly<Record<AnomalyKind, string>> = {
  G0: 'dirty write',
  G1a: 'aborted read',
  G1b: 'intermediate read',
  G1c: 'circular information flow',
  'lost-update': 'lost update',
  'G-single': 'read skew',
  'G-nonadjacent': 'long fork',
  'G2-item': 'write skew',
  G2: 'write skew with a phantom',
  internal: 'own write not seen',
  garbage: 'impossible answer',
};

export type IsolationLevel = 'read-committed' | 'snapshot' | 'serializable';

const ALLOWED: Readonly<Record<IsolationLevel, ReadonlySet<AnomalyKind>>> = {
  // PL-2: G0 and G1 are proscribed.
  'read-committed': new Set(['lost-update', 'G-single', 'G-nonadjacent', 'G2-item', 'G2']),
  // PL-SI: every cycle has two rw in a row.
  snapshot: new Set(['G2-item', 'G2']),
  // PL-3.
  serializable: new Set(),
};

/** The anomalies that may come up under an isolation level. All others must not. Errors: `RangeError` if there is no such level. */
export function allowedBy(level: IsolationLevel): ReadonlySet<AnomalyKind> {
  checkOneOf('level', level, Object.keys(ALLOWED));
  return ALLOWED[level];
}
