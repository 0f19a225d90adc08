/**
 * The addon of this package, for the thread that asks for it. It is there on systems for which the package brings it, and in a checkout where it was built;
 * everywhere else the reason is told, and `node:fs` does the work.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A file for the addon: descriptor, direct descriptor or -1, what addresses, and offsets and lengths, of direct transfers are multiples of, and whether reads are direct. */
export type FileArguments = readonly [
  fd: number,
  directFd: number,
  memoryAlignment: number,
  offsetAlignment: number,
  directReads: boolean,
];

/** What the addon exports. Only the modules of this package call it: it trusts its arguments. */
export interface Addon {
  readonly revision: number;
  start(reap: (count: number) => void, results: Float64Array): void;
  allow(threads: number): void;
  threads(): number;
  size(fd: number): number;
  transferSync(...call: [...FileArguments, isWrite: boolean, bytes: Uint8Array, offset: number]): boolean;
  transfer(...call: [id: number, ...FileArguments, isWrite: boolean, bytes: Uint8Array, offset: number]): void;
  readCached(fd: number, bytes: Uint8Array, offset: number): number;
  submitSync(
    ...call: [...FileArguments, finish: number, depth: number, places: Float64Array, buffers: readonly Uint8Array[]]
  ): boolean;
  submit(
    ...call: [
      id: number,
      ...FileArguments,
      finish: number,
      depth: number,
      places: Float64Array,
      buffers: readonly Uint8Array[],
    ]
  ): void;
  finishSync(...call: [...FileArguments, finish: number, offset: number, length: number]): boolean;
  finish(...call: [id: number, ...FileArguments, finish: number, offset: number, length: number]): void;
  prepareDirect(fd: number, directFd: number): [errno: number, memoryAlignment: number, offsetAlignment: number];
  advise(fd: number, offset: number, length: number, advice: number): number;
  useHugePages(bytes: Uint8Array): number;
  lockShared(fd: number): number;
  isLocked(fd: number): boolean | number;
}

/** The addon, or why there is none. */
export type Loaded =
  | { readonly addon: Addon; readonly reason?: undefined }
  | {
      readonly addon: null;
      readonly reason: string /** A file of it, which does not load. */;
      readonly isThere: boolean;
    };

/** What this release's modules expect of it. */
const REVISION = 4;

let loaded: Loaded | undefined;

/** Loads the addon when it is first asked for. Each thread does that once; one that is there and does not load is tried again, as what it lacked may be there by then. */
export function loadAddon(): Loaded {
  if (loaded !== undefined) return loaded;
  const found = load();
  if (found.addon !== null || !found.isThere) loaded = found;
  return found;
}

function load(): Loaded {
  const system = `${process.platform}-${process.arch}`;
  const failures: string[] = [];
  // The C library cannot be asked for cheaply; what is for the other one does not load.
  for (const target of process.platform === 'linux' ? [system, `${system}-musl`] : [system]) {
    const file = fileURLToPath(new URL(`../prebuilds/${target}/io-posix.node`, import.meta.url));
    if (!existsSync(file)) continue;
    try {
      const addon = createRequire(import.meta.url)(file) as Addon;
      if (addon.revision === REVISION) return { addon };
      failures.push(`${file} was built of other sources: build it again by npm run build:native`);
    } catch (error) {
      failures.push(`${file} does not load: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const isThere = failures.length > 0;
  return { addon: null, reason: failures.join('; ') || `there is none for ${system} beside this package`, isThere };
}
