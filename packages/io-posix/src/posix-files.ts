/** Files by the best that this system has: the addon's calls where it loads, `node:fs` everywhere else. */
import fs from 'node:fs';
import { type IoBackend, type IoModule, type OpenFlags, PagewrightError } from '@pagewright/core/contracts';
import { DEFAULT_DEPTH } from './backend.js';
import { Directories } from './directories.js';
import { OpenFile } from './file.js';
import { type Addon, loadAddon } from './native.js';
import { type DirectWay, NativeCalls } from './native-calls.js';
import { nativeThread } from './native-thread.js';
import { NodeCalls } from './node-calls.js';
import { openTarget, openTargetSync } from './opening.js';
import { assertOptions, type OptionRule, oneOf, wholeNumber } from './option-checks.js';
import { noDirectTransfers, openDirect, PosixFile, useHugePages } from './posix-file.js';
import type { Target } from './transfer.js';

/** How {@link PosixFiles} works. */
export interface PosixFilesOptions {
  /**
   * Whether the addon moves the bytes: `auto` if it loads, `true` that the backend is not supported where it does not, `false` that `node:fs` does. Default: `auto`.
   */
  readonly native?: boolean | 'auto';
  /**
   * Threads of the addon that wait for the system, 1 to 256: what is in flight at a time in the whole process, which takes the largest number that anybody asks for.
   * They are started when there is work for them. Default: 32.
   */
  readonly threads?: number;
  /** Transfers of one `submit` that are in flight at a time, 1 to 1024. Default: as many as there are threads; by `node:fs` 8. */
  readonly depth?: number;
  /**
   * Whether transfers go past the page cache: those whose address, offset and length are multiples of what the file system asks for ({@link PosixFile.direct}); all others go through it. A
   * file system that has no such transfers is `PW_UNSUPPORTED` when a file is opened, or with `auto` all goes through the page cache there. With `writes`, writes go past it where there is a way, and
   * reads go through it: so there is never much for a sync to bring to the device, and memory that nothing else needs holds what was read. `true` needs the addon; without it the others are as false. Default: false.
   */
  readonly direct?: boolean | 'auto' | 'writes';
  /** Whether the system may read more than it was asked for. False needs the addon, and Linux or FreeBSD. Default: true. */
  readonly readahead?: boolean;
  /**
   * Whether huge pages are asked for behind memory that is to hold a store's pages: its look-ups miss the processor's address cache less. Needs the addon, and Linux: without effect
   * elsewhere, and where the system gives none. Such memory is taken from it in steps of 2 MiB. Default: true.
   */
  readonly hugePages?: boolean;
}

const DEFAULT_THREADS = 32;

const RULES: Readonly<Record<keyof PosixFilesOptions, OptionRule>> = {
  native: oneOf(true, false, 'auto'),
  threads: wholeNumber(1, 256),
  depth: wholeNumber(1, 1024),
  direct: oneOf(true, false, 'auto', 'writes'),
  readahead: oneOf(true, false),
  hugePages: oneOf(true, false),
};

/** Files by the addon of this package, or by `node:fs` where it does not load. Holds no state but its options, so that one may serve many engines. */
export class PosixFiles extends Directories implements IoBackend {
  readonly name = '@pagewright/io-posix';
  readonly #options: PosixFilesOptions;

  /** @throws PW_OPTION_INVALID */
  constructor(options: PosixFilesOptions = {}) {
    super();
    assertOptions(options, RULES);
    this.#options = { ...options };
  }

  /** None of a class that extends this one: it knows better. */
  get module(): IoModule | undefined {
    if (this.constructor !== PosixFiles) return undefined;
    return { url: new URL('./posix-in-thread.js', import.meta.url).href, options: this.#options };
  }

  /** `native` says whether the addon moves the bytes here, and if not, why. */
  probe(): { readonly supported: boolean; readonly reason?: string; readonly native: string } {
    const { native = 'auto', direct = false, readahead = true } = this.#options;
    if (native === false) {
      return needsNative(direct, readahead) ?? { supported: true, native: 'no: it was not asked for' };
    }
    const { addon, reason } = loadAddon();
    if (addon !== null) return { supported: true, native: 'yes' };
    const why = `no: ${reason}`;
    if (native === 'auto') return needsNative(direct, readahead, reason) ?? { supported: true, native: why };
    return { supported: false, reason: `its native part is not there: ${reason}`, native: why };
  }

  prepareMemory(memory: Uint8Array): void {
    const { native = 'auto', hugePages = true } = this.#options;
    if (native !== false && hugePages) useHugePages(memory);
  }

  /** @throws PW_NOT_FOUND, PW_PERMISSION, PW_FULL, PW_IO (`EISDIR` for a directory, `ENOTSUP` for a pipe), PW_UNSUPPORTED where {@link probe} says so */
  async open(path: string, flags: OpenFlags): Promise<OpenFile> {
    this.#assertSupported();
    return this.#fileOf(await openTarget(path, flags), flags);
  }

  /** @throws the same as {@link open} */
  openSync(path: string, flags: OpenFlags): OpenFile {
    this.#assertSupported();
    return this.#fileOf(openTargetSync(path, flags), flags);
  }

  #fileOf(target: Target, flags: OpenFlags): OpenFile {
    const { native = 'auto', threads = DEFAULT_THREADS, depth, direct = false, readahead = true } = this.#options;
    const settings = { readOnly: flags.readOnly === true };
    if (native === false || loadAddon().addon === null) {
      return new OpenFile(new NodeCalls(target, depth ?? DEFAULT_DEPTH), settings);
    }
    const thread = orClose(target, nativeThread);
    thread.addon.allow(threads);
    const way = orClose(target, () => wayPast(thread.addon, target, { direct, ...settings }));
    const file = new PosixFile(new NativeCalls(target, thread, { depth: depth ?? threads, direct: way }), settings);
    if (!readahead) file.advise('random');
    return file;
  }

  #assertSupported(): void {
    const { supported, reason } = this.probe();
    if (supported) return;
    throw new PagewrightError('PW_UNSUPPORTED', `Cannot open files by ${this.name}: ${reason}.`, {
      details: { reason },
    });
  }
}

/** Leaves no descriptor open if what is to be done with it fails. */
function orClose<Result>(target: Target, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    fs.closeSync(target.fd);
    throw error;
  }
}

/** None for a file that is only read where writes alone go past the page cache. */
function wayPast(
  addon: Addon,
  target: Target,
  { direct, readOnly }: { direct: boolean | 'auto' | 'writes'; readOnly: boolean },
): DirectWay | null {
  const reads = direct !== 'writes';
  if (direct === false || (readOnly && !reads)) return null;
  const way = openDirect(addon, target, { readOnly, reads });
  if (way === null && direct === true) throw noDirectTransfers(target.path);
  return way;
}

function needsNative(direct: PosixFilesOptions['direct'], readahead: boolean, reason?: string) {
  if (direct !== true && readahead) return null;
  const what = direct === true ? 'direct' : 'readahead: false';
  const why = reason === undefined ? 'native is false' : reason;
  return { supported: false, reason: `the option ${what} needs its native part, and ${why}`, native: `no: ${why}` };
}
