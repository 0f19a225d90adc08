/**
 * Looks for records in a stretch of a segment of which not all need be there. A header is known by its checksum, which is seeded with the place
 * that it was written at, so nothing that is left of another use of the file passes for one.
 */
import type { ReplayedRecord, TimestampRange } from '@pagewright/core';
import {
  bodyIsWhole,
  decodeCommit,
  decodeHeader,
  decodeKeptRanges,
  RECORD_ALIGNMENT,
  RECORD_HEADER_SIZE,
  RecordHeader,
  recordSeed,
} from '../format/record.js';
import type { SegmentReader } from './segment-reader.js';

export class RecordScan {
  /** Of the record that was found. */
  readonly header = new RecordHeader();
  /** Where it begins. */
  offset = -1;
  /** Whether its operations are what was written. */
  isWhole = false;
  readonly #reader: SegmentReader;
  readonly #incarnation: number;
  readonly #segment: number;
  #from: number;

  constructor(reader: SegmentReader, incarnation: number, segment: number, from: number) {
    this.#reader = reader;
    this.#incarnation = incarnation;
    this.#segment = segment;
    this.#from = from;
  }

  /** Behind the record that was found. */
  get end(): number {
    return this.offset + this.header.length;
  }

  get path(): string {
    return this.#reader.path;
  }

  /** Goes on to the next header; false if there is none. */
  async next(): Promise<boolean> {
    const reader = this.#reader;
    for (let offset = this.#from; offset + RECORD_HEADER_SIZE <= reader.size; ) {
      if (!reader.has(offset, RECORD_HEADER_SIZE)) await reader.load(offset, RECORD_HEADER_SIZE);
      offset = this.#seek(offset);
      if (!reader.has(offset, RECORD_HEADER_SIZE)) continue;
      await this.#take(offset);
      this.#from = this.end; // The header says how much was written here: what lies in there is no record.
      return true;
    }
    return false;
  }

  /** Takes the record at an offset; false if there is no header that is right for it. */
  async readAt(offset: number): Promise<boolean> {
    const reader = this.#reader;
    if (reader.size - offset < RECORD_HEADER_SIZE) return false;
    if (!reader.has(offset, RECORD_HEADER_SIZE)) await reader.load(offset, RECORD_HEADER_SIZE);
    if (!this.#isHeader(offset)) return false;
    await this.#take(offset);
    return true;
  }

  /** The first place with a right header in what is in memory from there on, or the first one that is not in memory. */
  #seek(from: number): number {
    let offset = from;
    while (this.#reader.has(offset, RECORD_HEADER_SIZE) && !this.#isHeader(offset)) offset += RECORD_ALIGNMENT;
    return offset;
  }

  /** Reads the header there, which is in memory. */
  #isHeader(offset: number): boolean {
    const reader = this.#reader;
    const seed = this.#seedAt(offset);
    return decodeHeader(reader.bytes, reader.view, reader.indexOf(offset), reader.size - offset, seed, this.header);
  }

  /** Reads what the header there has told of. */
  async #take(offset: number): Promise<void> {
    const reader = this.#reader;
    const { length } = this.header;
    if (!reader.has(offset, length)) await reader.load(offset, length);
    this.offset = offset;
    this.isWhole = bodyIsWhole(reader.bytes, reader.view, reader.indexOf(offset), length, this.#seedAt(offset));
  }

  #seedAt(offset: number): number {
    return recordSeed(this.#incarnation, this.#segment, offset);
  }

  /** What counts behind the gapless run, as a whole record at the end of an archived segment says it. */
  decodeKept(): readonly TimestampRange[] {
    return decodeKeptRanges(this.#reader.view, this.#reader.indexOf(this.offset), this.header);
  }

  /** The transaction of a whole commit. Null if it does not add up. */
  decode(): ReplayedRecord | null {
    return decodeCommit(this.#reader.bytes, this.#reader.indexOf(this.offset), this.header);
  }
}
