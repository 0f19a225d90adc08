/** Files by io_uring, as Pagewright's I/O contract has it. Linux alone. */
import fs from 'node:fs';

import {
  type IoBackend,
  type IoFile,
  type IoModule,
  isPagewrightError,
  type OpenFlags,
} from '@pagewright/core/contracts';

import {
  Directories,
  noDirectTransfers,
  OpenFile,
  openDirectFd,
  openTarget,
  openTargetSync,
  type Target,
  useHugePages,
} from '@pagewright/io-posix/files';
import { type CheckedOptions, checked, type UringFilesOptions } from './options.js';
import { ringOfThread, type ThreadRing } from './thread-ring.js';
import { UringCalls } from './uring-calls.js';

/** Files by io_uring. Holds no state but its options: each thread has a ring, made when it first opens a file. */
export class UringFiles extends Directories implements IoBackend {
  readonly name = '@pagewright/io-uring';
  readonly #options: CheckedOptions;

  /** @throws PW_OPTION_INVALID */
  constructor(options: UringFilesOptions = {}) {
    super();
    this.#options = checked(options);
  }

  /** None of a class that extends this one: it knows better. */
  get module(): IoModule | undefined {
    if (this.constructor !== UringFiles) return undefined;
    return { url: new URL('./in-thread.js', import.meta.url).href, options: this.#options };
  }

  /**
   * Loads the native part, and makes the ring of this thread, which it has from then on: so a store that is opened now meets no limit that this has not met. Takes about two
   * milliseconds the first time.
   */
  probe(): { readonly supported: boolean; readonly reason?: string } {
    try {
      ringOfThread(this.#options);
      return { supported: true };
    } catch (error) {
      if (!isPagewrightError(error, 'PW_UNSUPPORTED')) throw error;
      return { supported: false, reason: String(error.details.reason) };
    }
  }

  prepareMemory(memory: Uint8Array): void {
    if (this.#options.hugePages) useHugePages(memory);
  }

  /** @throws PW_NOT_FOUND, PW_PERMISSION, PW_FULL, PW_IO (`EISDIR` for a directory, `ENOTSUP` for a pipe), PW_UNSUPPORTED if there is no ring, or no direct transfer though it was asked for */
  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    const ring = ringOfThread(this.#options);
    return this.#fileOf(ring, await openTarget(path, flags), flags);
  }

  /** @throws the same as {@link open} */
  openSync(path: string, flags: OpenFlags): IoFile {
    const ring = ringOfThread(this.#options);
    return this.#fileOf(ring, openTargetSync(path, flags), flags);
  }

  /** What the ring of this thread has done, and has to do. */
  figures(): ThreadRing['figures'] & { readonly registrationErrno: number } {
    const ring = ringOfThread(this.#options);
    return { ...ring.figures, registrationErrno: ring.registrationErrno };
  }

  #fileOf(ring: ThreadRing, target: Target, flags: OpenFlags): IoFile {
    const readOnly = flags.readOnly === true;
    let fd = -1;
    try {
      const { direct: wanted } = this.#options;
      const reads = wanted !== 'writes';
      if (wanted !== false && (reads || !readOnly)) fd = openDirectFd(target, readOnly);
      if (fd < 0 && wanted === true) throw noDirectTransfers(target.path);
      return new OpenFile(new UringCalls(target, { fd, reads }, ring), { readOnly });
    } catch (error) {
      if (fd >= 0) fs.closeSync(fd);
      fs.closeSync(target.fd);
      throw error;
    }
  }
}
