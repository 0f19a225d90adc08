/** The kinds of index that threads are let loose on. */
import type { IndexType } from '@pagewright/core';
import { ArtType } from '@pagewright/index-art';
import { BtreeType } from '@pagewright/index-btree';

export type IndexName = 'btree' | 'art';

/** A new one for each thread. */
export function indexTypeOf(name: IndexName = 'btree'): IndexType {
  return name === 'art' ? new ArtType() : new BtreeType();
}
