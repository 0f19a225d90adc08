/** Pagewright by `node:fs` alone: to be named by its path, as `--engines ./bench/by-io/node-fs.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy('node:fs');
