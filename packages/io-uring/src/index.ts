/** Files for Pagewright on Linux, by io_uring. */
export type { RingFigures } from './addon.js';
export { UringFiles } from './backend.js';
export type { UringFilesOptions } from './options.js';
export { default, ioUring } from './plugin.js';
