/** Every decoder that reads from disk, and the share of a run's time that it gets. */
import type { FuzzTarget } from '@pagewright/testkit';
import { allocationMaps } from './allocation-maps.js';
import { archivedEndings } from './archived-endings.js';
import { artReading, btreeReading } from './btree-reading.js';
import { artWriting, btreeWriting } from './btree-writing.js';
import { catalogs } from './catalogs.js';
import { descriptions } from './descriptions.js';
import { encodings } from './encodings.js';
import { keptLists } from './kept-lists.js';
import { logRecords } from './log-records.js';
import { logReplays } from './log-replays.js';
import { pageFiles } from './page-files.js';
import { pageHeaders } from './page-headers.js';
import { segmentHeaders } from './segment-headers.js';
import { superblocks } from './superblocks.js';

export interface WeightedTarget {
  readonly target: FuzzTarget;
  /** Relative to the others. */
  readonly share: number;
}

export const ALL_TARGETS: readonly WeightedTarget[] = [
  weighted(superblocks, 6),
  weighted(allocationMaps, 6),
  weighted(pageHeaders, 3),
  weighted(btreeReading, 24),
  weighted(btreeWriting, 20),
  weighted(artReading, 24),
  weighted(artWriting, 20),
  weighted(logRecords, 6),
  weighted(segmentHeaders, 3),
  weighted(keptLists, 2),
  weighted(archivedEndings, 2),
  weighted(logReplays, 10),
  weighted(catalogs, 4),
  weighted(pageFiles, 10),
  weighted(descriptions, 2),
  ...encodings.map((target) => weighted(target, 1)),
];

function weighted<Context>(target: FuzzTarget<Context>, share: number): WeightedTarget {
  return { target: target as FuzzTarget, share };
}
