/** The backends of this package, each of which is tested by itself. */
import { NodeFiles, PosixFiles, type PosixFilesOptions } from '../src/index.js';

/** A backend, or why it cannot be tested here. */
export interface Tested {
  readonly name: string;
  readonly left?: string | undefined;
  make(options?: Pick<PosixFilesOptions, 'depth'>): NodeFiles | PosixFiles;
}

const { supported, native } = new PosixFiles({ native: true }).probe();

/** Why the addon cannot be tested here; undefined if it can. */
export const withoutAddon = supported ? undefined : `the native part of io-posix was not built (${native})`;

export const byNode: Tested = { name: 'node:fs', make: (options) => new NodeFiles(options) };
export const byAddon: Tested = {
  name: 'the addon',
  left: withoutAddon,
  make: (options) => new PosixFiles({ native: true, ...options }),
};
export const byAddonDirect: Tested = {
  name: 'the addon, past the page cache',
  left: withoutAddon,
  make: (options) => new PosixFiles({ native: true, direct: 'auto', ...options }),
};
export const byAddonDirectWrites: Tested = {
  name: 'the addon, writes past the page cache',
  left: withoutAddon,
  make: (options) => new PosixFiles({ native: true, direct: 'writes', ...options }),
};
