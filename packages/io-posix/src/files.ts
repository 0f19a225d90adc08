/**
 * What a backend of open files stands on, for packages that bring calls of their own (`@pagewright/io-posix/files`): write {@link FileCalls}, open by
 * {@link openTarget}, and hand both to an {@link OpenFile}. Checks, counting, closing, locks, pins and rule IO1 are the same for all then.
 */
export { Directories } from './directories.js';
export { type Attempt, closed, endOfFile, errnoOf, faultOf, isTransient, noProgress, readOnly } from './fault.js';
export { type FileSettings, OpenFile } from './file.js';
export { type Done, type FileCalls, NotDurable } from './file-calls.js';
export type { KernelLocks } from './kernel-locks.js';
export { NodeCalls } from './node-calls.js';
export { closeDescriptor, openDirectFd, openTarget, openTargetSync } from './opening.js';
export { assertOptions, type OptionRule, oneOf, TEXT, wholeNumber } from './option-checks.js';
export { noDirectTransfers, useHugePages } from './posix-file.js';
export { joinNeighbours } from './submission.js';
export type { Target, Transfer } from './transfer.js';
