/**
 * An array with a word for each page of the store, after vmcache (SIGMOD 2023): the page's frame, or nothing. vmcache lets the
 * processor's page table be that array; a JavaScript program has no say in that, so here it is one that is read.
 *
 * Its length is fixed when the store is opened: one word for each unit that the file has then, and at least four for each frame. When
 * the file grows beyond that, the names of pages come around again, and what is taken is passed over.
 */
import type { NamedFrames, Translation } from '@pagewright/core/contracts';
import { NO_FRAME } from '../frames.js';
import { freeName, MOST_NAMES } from './given-names.js';

const WORDS_FOR_FRAME = 4;
/** The word of name 0, which no page has, counts new pages. */
const NEW_PAGES = 0;

export class PageArray implements Translation {
  /** By name: the frame plus 1, or 0. */
  readonly #frames: Int32Array;
  readonly #isTaken = (name: number): boolean => this.#frames[name] !== 0;

  constructor(
    private readonly named: NamedFrames,
    state: SharedArrayBuffer,
  ) {
    this.#frames = new Int32Array(state);
  }

  static stateBytes(frames: number, units: number): number {
    const names = Math.max(WORDS_FOR_FRAME * frames, units);
    return 4 * Math.min(MOST_NAMES, 2 ** Math.ceil(Math.log2(names)));
  }

  frameOf(name: number): number {
    // M3: what is no name at all names no page. Word 0 is no frame.
    return name > NEW_PAGES && name < this.#frames.length ? (this.#frames[name] as number) - 1 : NO_FRAME;
  }

  enter(frame: number, unit: number): number {
    const name = freeName(unit, this.#frames.length - 1, this.#frames, NEW_PAGES, this.#isTaken);
    this.#frames[name] = frame + 1;
    this.named.setName(frame, name);
    return name;
  }

  leave(frame: number): void {
    this.#frames[this.named.nameOf(frame)] = 0;
    this.named.setName(frame, 0);
  }

  move(from: number, to: number): number {
    const name = this.named.nameOf(from);
    this.#frames[name] = to + 1;
    this.named.setName(from, 0);
    this.named.setName(to, name);
    return name;
  }
}
