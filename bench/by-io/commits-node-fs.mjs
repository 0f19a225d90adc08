/** Durable commits by `node:fs` alone: to be named by its path, as `--engines ./bench/by-io/commits-node-fs.mjs`. */
import { engineBy } from '../commits/engines/pagewright.mjs';

export const engine = engineBy('node:fs');
