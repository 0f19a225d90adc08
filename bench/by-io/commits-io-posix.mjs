/** Durable commits by the addon of io-posix: to be named by its path, as `--engines ./bench/by-io/commits-io-posix.mjs`. */
import { engineBy } from '../commits/engines/pagewright.mjs';

export const engine = engineBy('io-posix');
