/** How {@link UringFiles} works, and what the kernel is asked for accordingly. */
import { assertOptions, type OptionRule, oneOf, TEXT, wholeNumber } from '@pagewright/io-posix/files';

export interface UringFilesOptions {
  /** Operations that the kernel has at a time for each thread, 16 to 4096; what is more waits in line. Default: 256. */
  readonly depth?: number;
  /**
   * A thread of the kernel looks for new operations, and sleeps after this many milliseconds without one, 1 to 60000 (`IORING_SETUP_SQPOLL`). Handing over costs no
   * system call then, and a processor is busy with looking. One for each thread that uses files. Default: none.
   */
  readonly kernelThreadIdleMs?: number;
  /**
   * Transfers whose address, offset and length are multiples of 4,096 bytes go past the page cache (`O_DIRECT`). A file system that has no such
   * transfers is `PW_UNSUPPORTED` when a file is opened, or with `auto` all goes through the page cache there. With `writes`, writes go past it where there is a way, and reads
   * go through it: so there is never much for a sync to bring to the device, and memory that nothing else needs holds what was read. Default: false.
   */
  readonly direct?: boolean | 'auto' | 'writes';
  /**
   * Shared buffers of 64 KiB and more stay in memory from their first use on, known to the kernel (`IORING_REGISTER_BUFFERS`): transfers need not look at their pages again.
   * They count against what the process may lock (`ulimit -l`), once for each thread; where that is too little, transfers go on as without. Default: false.
   */
  readonly registerBuffers?: boolean;
  /**
   * Huge pages are asked for behind memory that is to hold a store's pages: its look-ups miss the processor's address cache less. By the addon of @pagewright/io-posix, without effect where that is
   * not there, or the system gives none. Such memory is taken from it in steps of 2 MiB. Default: true.
   */
  readonly hugePages?: boolean;
  /** The native part, as a file: for programs that were bundled, away from their packages. Default: it is looked for. */
  readonly addon?: string;
}

export type CheckedOptions = Required<Pick<UringFilesOptions, 'depth' | 'direct' | 'registerBuffers' | 'hugePages'>> &
  Pick<UringFilesOptions, 'kernelThreadIdleMs' | 'addon'>;

const DEFAULT_DEPTH = 256;

const RULES: Readonly<Record<keyof UringFilesOptions, OptionRule>> = {
  depth: wholeNumber(16, 4096),
  kernelThreadIdleMs: wholeNumber(1, 60_000),
  direct: oneOf(true, false, 'auto', 'writes'),
  registerBuffers: oneOf(true, false),
  hugePages: oneOf(true, false),
  addon: TEXT,
};

/** @throws PW_OPTION_INVALID */
export function checked(options: UringFilesOptions): CheckedOptions {
  assertOptions(options, RULES);
  const { depth = DEFAULT_DEPTH, direct = false, registerBuffers = false, hugePages = true } = options;
  const { kernelThreadIdleMs, addon } = options;
  return {
    depth,
    direct,
    registerBuffers,
    hugePages,
    ...(kernelThreadIdleMs === undefined ? {} : { kernelThreadIdleMs }),
    ...(addon === undefined ? {} : { addon }),
  };
}
