/** Pagewright by io_uring: to be named by its path, as `--engines ./bench/by-io/io-uring.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy('io-uring');
