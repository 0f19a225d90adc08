/** Durable commits by io_uring: to be named by its path, as `--engines ./bench/by-io/commits-io-uring.mjs`. */
import { engineBy } from '../commits/engines/pagewright.mjs';

export const engine = engineBy('io-uring');
