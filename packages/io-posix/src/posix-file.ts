/** An open file of which the addon moves the bytes, with what it can beyond the contract. */
import fs from 'node:fs';
import { PagewrightError } from '@pagewright/core/contracts';
import { OpenFile } from './file.js';
import { type Addon, loadAddon } from './native.js';
import type { DirectWay, NativeCalls } from './native-calls.js';
import { nativeThread } from './native-thread.js';
import { openDirectFd } from './opening.js';
import type { Target } from './transfer.js';

/** What is going to be done with a range of a file: `posix_fadvise`. */
export type Advice = (typeof ADVICE)[number];

const ADVICE = ['normal', 'random', 'sequential', 'willNeed', 'dontNeed'] as const;

export class PosixFile extends OpenFile<NativeCalls> {
  /** What transfers past the page cache are multiples of, in bytes, and whether reads are among them; null if there are none for this file. */
  get direct(): Omit<DirectWay, 'fd'> | null {
    const way = this.calls.direct;
    return way && { memoryAlignment: way.memoryAlignment, offsetAlignment: way.offsetAlignment, reads: way.reads };
  }

  /**
   * Tells the system what is going to be done with a range; a length of 0 is all that follows. Returns whether it takes such advice.
   * @throws PW_CLOSED, PW_ARGUMENT
   */
  advise(advice: Advice, offset = 0, length = 0): boolean {
    const number = ADVICE.indexOf(advice);
    if (number < 0) {
      throw new PagewrightError('PW_ARGUMENT', `'${advice}' is no advice; there are ${ADVICE.join(', ')}.`, {
        details: { path: this.path, advice },
      });
    }
    this.assertPlace('advise', offset, length);
    return nativeThread().addon.advise(this.fd, offset, length, number) === 0;
  }
}

/**
 * How the file is reached past the page cache, by writes and, if so chosen, by `reads`; null where its file system has no way.
 * @throws the same as {@link openDirectFd}
 */
export function openDirect(
  addon: Addon,
  target: Target,
  { readOnly, reads }: { readOnly: boolean; reads: boolean },
): DirectWay | null {
  const fd = openDirectFd(target, readOnly);
  if (fd < 0) return null;
  const [errno, memoryAlignment, offsetAlignment] = addon.prepareDirect(target.fd, fd);
  if (errno === 0) return { fd, memoryAlignment, offsetAlignment, reads };
  fs.closeSync(fd);
  return null;
}

/** For who has asked for direct transfers, of a file system without. */
export function noDirectTransfers(path: string): PagewrightError {
  return new PagewrightError(
    'PW_UNSUPPORTED',
    `Cannot open ${path} for direct transfers: its file system has none. Set direct to 'auto' or leave it out, or put the file elsewhere.`,
    { details: { errno: 'EINVAL', path } },
  );
}

/**
 * Asks for huge pages behind this memory, before it is touched: fewer misses of the processor's address cache in a large arena. Returns whether the system has
 * them for such memory. Only the addon can ask: false without it.
 */
export function useHugePages(memory: Uint8Array): boolean {
  const { addon } = loadAddon();
  return addon !== null && addon.useHugePages(memory) === 0;
}
