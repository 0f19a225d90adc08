/** Pagewright with a pool for an eighth of the data: to be named by its path, as `--engines ./bench/by-index/btree-eighth.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy(undefined, { share: 1 / 8 });
