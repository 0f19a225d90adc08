/**
 * The layer that is preloaded into a process, so that a loss of power can be simulated after the process was killed. It
 * works below Node.js and any addon that calls the C library, on the real file system, as any user.
 */
import { compileNative, type Obtained } from './native-programs.js';

/** What is journalled, and what is to go wrong in the process. */
export interface LayerSettings {
  /** Everything below it is journalled. Must exist; an absolute path without symbolic links. */
  readonly directory: string;
  /** Must be outside of the directory. Is appended to; for {@link lossOfPower} it must begin with this process. */
  readonly journal: string;
  /** Number, from 1, of the file sync that answers EIO, and makes nothing durable. */
  readonly failSync?: number;
  /** Number, from 1, of the record in whose place the process kills itself: before a change, or between a sync and its answer. */
  readonly killAt?: number;
}

export class VolatileLayer {
  /** Compiles the layer. It is missing where there is no compiler, and on systems other than Linux with 64 bits. */
  static build(): Obtained<VolatileLayer> {
    if (process.platform !== 'linux') return { missing: `it is made for Linux, and this is ${process.platform}` };
    const library = compileNative('volatile');
    return library.missing === undefined ? { is: new VolatileLayer(library.is) } : library;
  }

  private constructor(readonly library: string) {}

  /** The environment of a process that is to have the layer, beside whatever else it needs. */
  environment(settings: LayerSettings): Record<string, string> {
    return {
      LD_PRELOAD: this.library,
      POWER_CUT_DIRECTORY: settings.directory,
      POWER_CUT_JOURNAL: settings.journal,
      ...(settings.failSync === undefined ? {} : { POWER_CUT_FAIL_SYNC: String(settings.failSync) }),
      ...(settings.killAt === undefined ? {} : { POWER_CUT_KILL_AT: String(settings.killAt) }),
      UV_USE_IO_URING: '0', // what goes through a ring passes the layer by
    };
  }
}
