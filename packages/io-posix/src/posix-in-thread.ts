/** Makes the backend in another thread, from what `PosixFiles.module` says. */
import { PosixFiles, type PosixFilesOptions } from './posix-files.js';

export default (options: PosixFilesOptions): PosixFiles => new PosixFiles(options);
