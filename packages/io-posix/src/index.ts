/** Files for Pagewright on any POSIX system: by an addon where it loads, by `node:fs` alone everywhere else. */
export { NodeFiles, type NodeFilesOptions } from './backend.js';
export { default, ioPosix } from './plugin.js';
export { type Advice, PosixFile, useHugePages } from './posix-file.js';
export { PosixFiles, type PosixFilesOptions } from './posix-files.js';
