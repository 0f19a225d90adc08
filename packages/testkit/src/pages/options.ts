/** How a hostile store is made. */
import type { Chances } from './hostility.js';

export interface HostilePagesOptions extends Partial<Chances> {
  /** Bytes in a page of class 0. Default: 4096. */
  readonly pageSize?: number;
  /** Default: 6. */
  readonly maxSizeClass?: number;
  /** Frames for pages of class 0. Default: 4096. */
  readonly frames?: number;
  /** How many roots of indexes the catalog page has. Default: 4. */
  readonly roots?: number;
  /** Watches the bytes of every page, for a copy and a comparison of each page that is latched. Default: true. */
  readonly watch?: boolean;
  /** Seed of everything that happens by chance. Default: 1. */
  readonly seed?: number;
}
