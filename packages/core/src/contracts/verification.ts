/**
 * Verification: how a page store is asked for all that is wrong with what it keeps. The store knows pages, swips, checksums
 * and space; what the pages mean to the catalog and to indexes, it asks an inspector, page by page.
 *
 * Must hold: damage is reported and never thrown, and whatever lies beside it is looked at all the same. Nothing is
 * reported that is not wrong, also while others write.
 */
import type { ErrorCode } from '../errors.js';

/** What is known of a page before it is looked at, from the page that names it. Inspectors add what they need. */
export interface PageExpectation {
  /** The number that the page must carry; 0 is the catalog. */
  readonly index: number;
  /** What a path says where something begins, as in `index 'users'`; empty for the pages below. */
  readonly label: string;
}

/** Tells what pages mean. One is begun for each tree that is gone through, parents before their children. */
export interface PageInspector<Expectation extends PageExpectation> {
  /** What is expected of the catalog's root page. */
  readonly root: Expectation;
  /**
   * Looks at a page whose header is right; nothing changes it meanwhile. The frame may hold a copy that is in no tree.
   * Gives what is expected of the pages that its swips name, by the offsets of these. Of those that are not there, nothing
   * is known but where they are: header and checksum alone are checked.
   */
  inspect(frame: number, expected: Expectation, report: (message: string) => void): ReadonlyMap<number, Expectation>;
}

/** One thing that is wrong. */
export interface VerifyProblem {
  /**
   * From where it was looked at down to the page: `checkpoint 12 → catalog, page at byte 8192 → … → index 'users', page at
   * byte 65536`. Pages in memory are `frame 17`.
   */
  readonly path: string;
  readonly message: string;
  /**
   * `PW_CORRUPT_PAGE`: a page; `PW_CORRUPT_FILE`: a superblock, or which extents are in use; `PW_INTERNAL`: what is known of
   * the pages in memory; any other: the error that kept the page from being looked at.
   */
  readonly code: ErrorCode;
  /** Where in the page file, if it is there. */
  readonly offset?: number;
}

/** How far a verification is. */
export interface VerifyProgress {
  /** Pages of the file that were looked at. Those in memory are looked at as well, and not counted. */
  readonly pages: number;
  readonly bytes: number;
  /** Bytes that the last checkpoint reaches. There may be a little more to look at: the checkpoint before, and what came later. */
  readonly totalBytes: number;
}

export interface VerifyRequest<Expectation extends PageExpectation> {
  begin(): PageInspector<Expectation>;
  /** V: no page in memory has a higher stamp. */
  visible(): number;
  report(problem: VerifyProblem): void;
  /** Called between pages. What it throws ends the verification. */
  advanced(progress: VerifyProgress): void;
}
