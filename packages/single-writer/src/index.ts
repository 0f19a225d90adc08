/** One write transaction at a time, beside readers on snapshots, for Pagewright. */
export type { SingleWriterOptions, WaitOptions } from './options.js';
export { default, singleWriter } from './plugin.js';
export { SingleWriter } from './single-writer.js';
