/**
 * A place in one incarnation of the log: a segment and a byte offset in it. Places are ordered as the stream is written;
 * records name what is durable by its place, because a place means the same to every process, a stream position does not.
 */

/** The first byte of something in the log. */
export interface Place {
  /** Number of the segment, counted from 1. */
  readonly segment: number;
  /** Byte offset in the segment's file. */
  readonly offset: number;
}

/** Negative if a comes before b in the stream, 0 if they are the same, positive if it comes after. */
export function comparePlaces(a: Place, b: Place): number {
  return a.segment === b.segment ? a.offset - b.offset : a.segment - b.segment;
}
