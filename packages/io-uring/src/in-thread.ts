/** Makes the backend in another thread, from what `UringFiles.module` says. */
import { UringFiles } from './backend.js';
import type { UringFilesOptions } from './options.js';

export default (options: UringFilesOptions): UringFiles => new UringFiles(options);
