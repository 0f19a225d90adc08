/**
 * Translation: how a swip of a page that is in memory comes to its frame. A swip holds a *name*, and a translation says which
 * frame has the page of that name. Registered under the token `TRANSLATIONS`, chosen by name.
 *
 * Swizzling is the translation that is none: the name is the frame. With any other a hit is a look-up; everything else stays as it
 * is, what is in the file too, because images name pages by their addresses.
 *
 * Must hold for a translation: no two pages in memory have the same name, and a page keeps its name as long as it has a frame,
 * unless it moves to another one. Its state is memory that the store gives it, and nothing else: each thread has an object of its own over it,
 * and finds what the others have noted. All calls but `frameOf` come one at a time.
 *
 * `frameOf` is what a hit calls, from any thread, at any time, also in the middle of another thread's `enter`, `leave` or `move`, with any
 * number for a name: what was read of a page that is changing. While that happens it may miss a page that is there, and it may
 * give a frame that has another page by now *only* for the page that enters, leaves or moves: the reader then finds that the page above has changed.
 * For all other names it gives their frame, or -1.
 */

/** The frames of a store, and the name of the page in each: kept by the store, next to what a reader of the frame looks at first. */
export interface NamedFrames {
  /** Frames have numbers from 0 up to, not including, this one. It does not change. Frame 0 never has a name. */
  readonly count: number;
  /** The name of the page in this frame, 0 if there is none. */
  nameOf(frame: number): number;
  /** `enter`, `leave` and `move` keep it right. */
  setName(frame: number, name: number): void;
}

/** Where the pages are that are in memory. One object for each thread of a page store. */
export interface Translation {
  /** The frame of the page with this name; -1 if there is none, or none to be found while another thread makes changes. */
  frameOf(name: number): number;
  /**
   * Gives the page in this frame a name, from 1 to 2^30 - 1. `unit` is where its extent begins in the file, in units of the smallest
   * page; 0 for a page that has none yet.
   */
  enter(frame: number, unit: number): number;
  /** The page in this frame, which has a name, is leaving it. The name may be given to another page. */
  leave(frame: number): void;
  /** The page, which has a name, is in another frame now; the name that it has there. */
  move(from: number, to: number): number;
}

/** How it is made; registered under the token `TRANSLATIONS`. */
export interface TranslationType {
  /** By which the page store's options name it. */
  readonly name: string;
  /** Whether names are the numbers of frames. Then a hit calls nobody. */
  readonly namesFrames: boolean;
  /** Bytes of memory for its state. `units` is the length of the file when the store is opened; it may grow. */
  stateBytes(frames: number, units: number): number;
  /** Makes an object over the state. Memory of zeros is the state in which no page has a name; else it is in use by other objects already. */
  attach(frames: NamedFrames, state: SharedArrayBuffer): Translation;
}
