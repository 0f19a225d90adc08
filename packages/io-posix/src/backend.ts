/** The file system through `node:fs`, as Pagewright's I/O contract has it. Works wherever Node.js does. */
import type { IoBackend, IoFile, IoModule, OpenFlags } from '@pagewright/core/contracts';
import { Directories } from './directories.js';
import { OpenFile } from './file.js';
import { NodeCalls } from './node-calls.js';
import { openTarget, openTargetSync } from './opening.js';
import { assertOptions, wholeNumber } from './option-checks.js';
import type { Target } from './transfer.js';

/** How {@link NodeFiles} works. */
export interface NodeFilesOptions {
  /**
   * Transfers of one `submit` that are in flight at a time, 1 to 1024. More than libuv has threads (4, or
   * `UV_THREADPOOL_SIZE`) keeps these busy, and makes other users of the pool wait. Default: 8.
   */
  readonly depth?: number;
}

/** Transfers of a batch in flight on the threads of libuv. */
export const DEFAULT_DEPTH = 8;

/** Files by `node:fs`. Needs no native code; holds no state but its options, so that one may serve many engines. */
export class NodeFiles extends Directories implements IoBackend {
  readonly name = '@pagewright/io-posix';
  readonly #depth: number;

  /** @throws PW_OPTION_INVALID */
  constructor(options: NodeFilesOptions = {}) {
    super();
    assertOptions(options, { depth: wholeNumber(1, 1024) });
    this.#depth = options.depth ?? DEFAULT_DEPTH;
  }

  /** None of a class that extends this one: it knows better. */
  get module(): IoModule | undefined {
    if (this.constructor !== NodeFiles) return undefined;
    return { url: new URL('./in-thread.js', import.meta.url).href, options: { depth: this.#depth } };
  }

  probe(): { readonly supported: boolean; readonly reason?: string } {
    return { supported: true };
  }

  /** @throws PW_NOT_FOUND, PW_PERMISSION, PW_FULL, PW_IO (`EISDIR` for a directory, `ENOTSUP` for a pipe) */
  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    return this.#fileOf(await openTarget(path, flags), flags);
  }

  /** @throws the same as {@link open} */
  openSync(path: string, flags: OpenFlags): IoFile {
    return this.#fileOf(openTargetSync(path, flags), flags);
  }

  #fileOf(target: Target, flags: OpenFlags): IoFile {
    return new OpenFile(new NodeCalls(target, this.#depth), { readOnly: flags.readOnly === true });
  }
}
