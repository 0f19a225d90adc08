/** Pagewright with a radix tree, and a pool for an eighth of the data: to be named by its path, as `--engines ./bench/by-index/art-eighth.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy(undefined, { type: 'art', from: '@pagewright/index-art', share: 1 / 8 });
