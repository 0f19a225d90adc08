/** Files for Pagewright on any POSIX system, by `node:fs` alone. */
export { NodeFiles, type NodeFilesOptions } from './backend.js';
export { default, ioPosix } from './plugin.js';
