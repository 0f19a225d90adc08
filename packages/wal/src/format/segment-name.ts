/**
 * The names of segment files: incarnation in hexadecimal, number in decimal, as in `5f3a9c01-00000001.log`. Nothing else
 * in the log's directory is ever read, written or removed.
 */

const PATTERN = /^([0-9a-f]{8})-([0-9]{8,10})\.log$/;

/** The number in the name of the file in which an incarnation lists what its recovery kept (`kept-timestamps.ts`). Segments are counted from 1. */
export const KEPT_LIST = 0;

/** What the name of a segment file says. */
export interface SegmentName {
  readonly name: string;
  readonly incarnation: number;
  readonly segment: number;
}

export function segmentName(incarnation: number, segment: number): string {
  return `${incarnation.toString(16).padStart(8, '0')}-${String(segment).padStart(8, '0')}.log`;
}

/** The segments among the files of a directory, by number; other files are left out. */
export function segmentsAmong(names: readonly string[]): SegmentName[] {
  const segments: SegmentName[] = [];
  for (const name of names) {
    const match = PATTERN.exec(name);
    if (match !== null) {
      segments.push({ name, incarnation: Number.parseInt(match[1]!, 16), segment: Number.parseInt(match[2]!, 10) });
    }
  }
  return segments.sort((a, b) => a.segment - b.segment);
}
