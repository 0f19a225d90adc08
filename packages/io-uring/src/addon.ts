/** The native part: where it is found, and what it offers. It is loaded when first asked for, and once in a thread. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** One ring. Everything that goes in and out for an operation is numbers in the two arrays: see `thread-ring.ts`. */
export interface NativeRing {
  /** Operations that are needed, and that this kernel does not have. */
  missing(): string[];
  setCommands(commands: Float64Array): void;
  /** `direct` is a second descriptor for transfers past the page cache, or -1; what these are aligned to, in bytes; whether reads go by it as well as writes. */
  addFile(fd: number, direct: number, alignment: number, directReads: boolean): number;
  removeFile(file: number): void;
  isRegistered(file: number): boolean;
  addMemory(view: Uint8Array): number;
  removeMemory(memory: number): void;
  /** Zero, or an errno. */
  registerMemory(memory: number): number;
  /** Returns how many jobs are over already. */
  submit(count: number, lent: readonly Uint8Array[] | undefined): number;
  wait(count: number, lent: readonly Uint8Array[] | undefined): void;
  collect(): number;
  /** Zero, or the errno for which the kernel takes nothing from this ring any more. */
  failure(): number;
  figures(): RingFigures;
}

/** What a ring has done and has to do. */
export interface RingFigures {
  /** Times that the kernel was entered. */
  readonly enters: number;
  /** Syncs that have ended well; durable writes are not among them. */
  readonly syncs: number;
  /** Operations that the kernel has. */
  readonly inKernel: number;
  /** Calls that are not over. */
  readonly pending: number;
}

export interface NativeRingOptions {
  readonly depth: number;
  readonly kernelThreadIdleMs?: number;
}

export interface Addon {
  readonly REVISION: number;
  readonly Ring: new (
    options: NativeRingOptions,
    held: readonly unknown[],
    commands: Float64Array,
    results: Float64Array,
    notify: (told: number) => void,
  ) => NativeRing;
  /** What the process may keep in memory. */
  memlockBytes(): number;
}

/** The addon, or why there is none. */
export type Loaded =
  | { readonly addon: Addon; readonly from: string }
  | {
      readonly addon: null;
      readonly reason: string /** A file of it, which does not load: that may be otherwise when it is tried again. */;
      readonly isThere: boolean;
    };

/** What this release's modules expect of it. */
const REVISION = 2;

const loaded = new Map<string, Loaded>();

/** Loads the addon of this platform, or the file at `path`. Never throws. */
export function loadAddon(path?: string): Loaded {
  const key = path ?? '';
  let found = loaded.get(key);
  if (found === undefined) {
    found = load(path);
    if (found.addon !== null || !found.isThere) loaded.set(key, found);
  }
  return found;
}

/** Packages of this platform: an npm installs the one whose C library is there. */
export function platformPackages(platform: string = process.platform, arch: string = process.arch): string[] {
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) return [];
  return [`@pagewright/io-uring-linux-${arch}-gnu`, `@pagewright/io-uring-linux-${arch}-musl`];
}

function load(path: string | undefined): Loaded {
  if (process.platform !== 'linux')
    return { addon: null, reason: `io_uring is Linux's; this is ${process.platform}`, isThere: false };
  const require = createRequire(import.meta.url);
  // In a checkout, what `npm run build:native` has made; else the package of the platform.
  const places =
    path === undefined
      ? [fileURLToPath(new URL('../native/target/io-uring.node', import.meta.url)), ...platformPackages()]
      : [path];
  const failures: string[] = [];
  for (const from of places) {
    try {
      const addon = require(from) as Addon;
      if (addon.REVISION === REVISION) return { addon, from };
      failures.push(`${from} was built of other sources: build it again by npm run build:native`);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code !== 'MODULE_NOT_FOUND' || path !== undefined) failures.push(`${from}: ${(error as Error).message}`);
    }
  }
  const why = failures.length > 0 ? ` (${failures.join('; ')})` : '';
  return {
    addon: null,
    reason: `its native part for ${process.platform}-${process.arch} is not installed${why}; install without --omit=optional, or run npm run build:native in a checkout`,
    isThere: failures.length > 0,
  };
}
