/** Pagewright with a radix tree: to be named by its path, as `--engines ./bench/by-index/art.mjs`. */
import { engineBy } from '../engines/pagewright.mjs';

export const engine = engineBy(undefined, { type: 'art', from: '@pagewright/index-art' });
