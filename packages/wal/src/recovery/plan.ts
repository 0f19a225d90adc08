/** Finds what there is to replay before any record is read, so that opening can say how much it is. */
import { dirname, join } from 'node:path';
import type { LogOpenRequest } from '@pagewright/core';
import { comparePlaces } from '../format/place.js';
import type { SegmentName } from '../format/segment-name.js';
import { findLegs, type Leg } from './lineage.js';
import { orCorruptLog } from './log-damage.js';
import { Replay } from './replay.js';
import { inspectSegment, type LogLocation } from './segment-opening.js';

/** The replay from the place that the superblock names. `PW_CORRUPT_LOG` if the log does not begin as it should. */
export function planReplay(request: LogOpenRequest, names: readonly SegmentName[]): Promise<Replay> {
  return orCorruptLog(plan(request, names));
}

async function plan(request: LogOpenRequest, names: readonly SegmentName[]): Promise<Replay> {
  const { io, directory, state, readOnly, recover = 'all' } = request;
  const { timestamp, log } = state.mark;
  const location: LogLocation = { io, directory, storeId: state.storeId, readOnly };
  if (names.length > 0 && !readOnly) {
    // L5: that the directory shows a file does not mean that it is there for good.
    await io.syncDirectory(directory);
    await io.syncDirectory(dirname(directory));
  }
  const legs = await findLegs(location, names, state.mark);
  const until = legs[0]!.until;
  // An earlier recovery that stopped right there had found nothing to read.
  if (log.incarnation !== 0 && (until === null || comparePlaces(log, until.end) !== 0)) {
    const { reader, problem } = await inspectSegment(location, log.incarnation, log.segment);
    await reader?.close();
    if (problem !== null && (recover === 'all' || !problem.canBeLeftBehind)) throw problem;
  }
  let bytes = 0;
  for (const leg of legs) bytes += await bytesOf(location, names, leg);
  return new Replay({ files: { location, names }, timestamp, legs, bytes, stopsBeforeDamage: recover !== 'all' });
}

async function bytesOf({ io, directory }: LogLocation, names: readonly SegmentName[], leg: Leg): Promise<number> {
  let bytes = 0;
  for (const { name, incarnation, segment } of names) {
    if (incarnation !== leg.incarnation || segment < leg.from.segment) continue;
    const file = await io.open(join(directory, name), { readOnly: true });
    bytes += file.size();
    await file.close();
  }
  return bytes;
}
