/**
 * The arena: the memory in which all pages live. Segments of at most 1 GiB, each a shared `WebAssembly.Memory`, whose
 * buffer is a `SharedArrayBuffer` aligned for direct I/O. The arena knows addresses and nothing else; what a frame holds
 * is the frame table's business.
 *
 * A frame is the number of a block of one page; a page of size class c begins at a multiple of 2^c and covers 2^c of
 * them. A segment holds a power of two of blocks, so no page crosses from one into the next.
 */
import { Segment } from '@pagewright/core/contracts';
import { sharedMemory } from './aligned-memory.js';

const SEGMENT_BYTES = 2 ** 30;

export class Arena {
  readonly segments: Segment<SharedArrayBuffer>[] = [];
  /** log2 of the page size. */
  readonly pageShift: number;
  /** `frame >>> segmentShift` is the segment. */
  readonly segmentShift: number;
  /** `frame & frameMask` is the block within the segment. */
  readonly frameMask: number;

  /**
   * `frames` blocks of `pageSize` bytes (a power of two), in the segments of another thread's arena or in new ones, whose
   * memory is taken from the system as it is touched.
   */
  constructor(
    readonly frames: number,
    readonly pageSize: number,
    shared?: readonly SharedArrayBuffer[],
  ) {
    this.pageShift = Math.log2(pageSize);
    const framesInSegment = SEGMENT_BYTES / pageSize;
    this.segmentShift = Math.log2(framesInSegment);
    this.frameMask = framesInSegment - 1;
    if (shared !== undefined) this.segments.push(...shared.map((buffer) => new Segment(buffer)));
    for (let left = shared === undefined ? frames : 0; left > 0; left -= framesInSegment) {
      const bytes = Math.min(left, framesInSegment) * pageSize;
      this.segments.push(new Segment(sharedMemory(bytes)));
    }
  }

  get bytes(): number {
    return this.segments.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  }

  segmentOf(frame: number): Segment {
    return this.segments[frame >>> this.segmentShift] as Segment;
  }

  baseOf(frame: number): number {
    return (frame & this.frameMask) << this.pageShift;
  }

  /** The bytes of a page, as a view on the arena: for I/O and copying. */
  view(frame: number, sizeClass: number): Uint8Array {
    const base = this.baseOf(frame);
    return this.segmentOf(frame).u8.subarray(base, base + (this.pageSize << sizeClass));
  }
}
