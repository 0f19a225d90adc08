/** `PW_ARCHIVE_GAP`: what an archive lacks, and up to which commit it leads all the same. */
import { PagewrightError } from '@pagewright/core';
import { segmentName } from '../format/segment-name.js';

/** `what` is a sentence without its full stop; `last` the last commit that can be restored. */
export function archiveGap(what: string, last: number, details: Record<string, unknown>): PagewrightError {
  return new PagewrightError(
    'PW_ARCHIVE_GAP',
    `${what}. The last commit that can be restored from this backup is ${last}. Bring back what is missing, give an \`until\` of ${last} at most, or use a later backup.`,
    { details: { ...details, last } },
  );
}

export function missingSegment(path: string, incarnation: number, segment: number, last: number): PagewrightError {
  const name = segmentName(incarnation, segment);
  return archiveGap(`The segment ${name} is missing from the archive (${path}), which goes on behind it`, last, {
    path,
    name,
    segment,
  });
}
