/** Makes the backend in another thread, from what `NodeFiles.module` says. */
import { NodeFiles, type NodeFilesOptions } from './backend.js';

export default (options: NodeFilesOptions): NodeFiles => new NodeFiles(options);
