/** Pagewright by the addon of io-posix: to be named by its path, as `--engines ./bench/by-io/io-posix.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy('io-posix');
