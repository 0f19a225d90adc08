/**
 * Verifying the pages that are in memory: the census of frames, then, a few frames at a time, what is on the pages, with the
 * bounds that the pages above set at that same instant, and then the stored pages below them.
 *
 * Must hold: what is judged together is looked at in one synchronous step, for which other threads stand still. What
 * is read from the file counts only while the swip stands that named it: a page that was brought in, moved or given up
 * meanwhile is passed over, because whoever brought it in has checked it.
 */
import {
  PAGE_INDEX,
  type PageExpectation,
  type PageInspector,
  SWIP_COLD,
  SWIP_TAG_MASK,
} from '@pagewright/core/contracts';
import { NO_FRAME, PARENT } from './frames.js';
import type { UnitSet } from './verify-extents.js';
import { type Findings, Place } from './verify-findings.js';
import { type FramesParts, isResident, namesFrame, swipsOfFrame, takeCensus } from './verify-frames.js';
import { ANY_INDEX, messageOf, type NamedPage, type StoredPages } from './verify-tree.js';

/** Frames whose content is checked in one synchronous step. */
const BATCH = 16;
/** Deeper trees than this have a cycle. */
const DEEPEST = 64;

const MEMORY = new Place(null, 'memory');

/** A stored page that is named by a page in memory. */
interface ColdPage<Expectation> {
  readonly frame: number;
  readonly offset: number;
  readonly word: number;
  readonly page: NamedPage<Expectation>;
}

export interface MemoryParts extends FramesParts {
  readonly findings: Findings;
  /** Lets the event loop turn; what it throws ends the verification. */
  readonly turn: () => Promise<void>;
  /** Runs a step while no thread changes anything. */
  readonly standing: <Result>(step: () => Result) => Result;
}

export class ResidentPages<Expectation extends PageExpectation> {
  constructor(
    private readonly parts: MemoryParts,
    private readonly begin: () => PageInspector<Expectation>,
    private readonly visible: () => number,
  ) {}

  /** Checks frames, then what is on their pages, then the stored pages below these that are not among the known ones. */
  async check(stored: StoredPages<Expectation>, known: UnitSet): Promise<void> {
    const { frames, arena, standing } = this.parts;
    const order = standing(() => this.#census());
    for (let at = 0; at < order.length; at += BATCH) {
      const inspector = this.begin();
      const batch = order.subarray(at, at + BATCH);
      const cold = standing(() => this.#checkPages(batch, new Instant(this.parts, inspector)));
      for (const { frame, offset, word, page } of cold) {
        const words = arena.segmentOf(frame).u32;
        const swip = (arena.baseOf(frame) + offset) >>> 2;
        const stands = (): boolean =>
          words[swip] === word && words[swip + 1] === page.checksum && isResident(frames, frame);
        const highestStamp = this.visible;
        if (stands())
          await stored.follow(page, { inspector, highestStamp, reached: null, known, stands, complete: true });
      }
      await this.parts.turn();
    }
  }

  #census(): Int32Array {
    const { findings } = this.parts;
    const instant = new Instant(this.parts, this.begin());
    return takeCensus(this.parts, this.visible(), (frame, message, code) =>
      findings.report(frame < 0 ? MEMORY : instant.placeOf(frame), message, code),
    );
  }

  /** One synchronous step: what is wrong on these pages is reported, what they name in the file is returned. */
  #checkPages(order: Int32Array, instant: Instant<Expectation>): ColdPage<Expectation>[] {
    const { frames } = this.parts;
    const cold: ColdPage<Expectation>[] = [];
    for (const frame of order) if (isResident(frames, frame)) this.#checkPage(frame, instant, cold);
    return cold;
  }

  #checkPage(frame: number, instant: Instant<Expectation>, cold: ColdPage<Expectation>[]): void {
    const { arena, frames, epochs, findings } = this.parts;
    const place = instant.placeOf(frame);
    const expected = instant.expectationOf(frame);
    const index = arena.segmentOf(frame).u32[(arena.baseOf(frame) + PAGE_INDEX) >>> 2] as number;
    const isRight = expected === null || expected.index === index;
    if (!isRight) findings.report(place, `The page belongs to index ${index} instead of ${expected.index}`);
    const children = isRight
      ? instant.childrenOf(frame, (message, code) => findings.report(place, message, code))
      : null;
    for (const { offset, word, checksum } of swipsOfFrame(arena, frames, frame) ?? []) {
      if ((word & SWIP_TAG_MASK) !== SWIP_COLD) continue;
      const below = children?.get(offset) ?? null;
      const number = below?.index ?? (index > 0 ? index : ANY_INDEX);
      const page = { address: word >>> 2, checksum, index: number, expected: below, above: place, epoch: epochs.open };
      cold.push({ frame, offset, word, page });
    }
  }
}

type Report = (message: string, code?: 'PW_INTERNAL') => void;

/** Something that is wrong with a page. */
interface Found {
  readonly message: string;
  readonly code?: 'PW_INTERNAL';
}

/** What an inspector says of a page, which it is shown once: it may hold pages against each other. */
interface Inspected<Expectation> {
  readonly children: ReadonlyMap<number, Expectation> | null;
  readonly found: readonly Found[];
}

/**
 * What the pages in memory are to each other at one instant: where each is, and what those above expect of it. Of no use any
 * more when the event loop has turned.
 */
class Instant<Expectation extends PageExpectation> {
  readonly #inspected = new Map<number, Inspected<Expectation>>();
  readonly #places = new Map<number, Place>();
  /** Of pages in memory: where the swips are that name frames. */
  readonly #offsets = new Map<number, ReadonlyMap<number, number>>();

  constructor(
    private readonly parts: FramesParts,
    private readonly inspector: PageInspector<Expectation>,
  ) {}

  /** Null if nothing is known: something above is damaged, or its content cannot be checked. */
  expectationOf(frame: number, depth = 0): Expectation | null {
    const parent = this.#parentOf(frame);
    if (parent === NO_FRAME || depth > DEEPEST) return null;
    if (parent === this.parts.rootFrame) return this.inspector.root;
    const offset = this.#offsetsIn(parent).get(frame);
    return offset === undefined ? null : (this.childrenOf(parent, null, depth + 1)?.get(offset) ?? null);
  }

  /** Has the page looked at, once: what is expected of its children. What is wrong with it is reported if it is not for another page's sake. */
  childrenOf(frame: number, report: Report | null, depth = 0): ReadonlyMap<number, Expectation> | null {
    let inspected = this.#inspected.get(frame);
    if (inspected === undefined) {
      inspected = this.#inspect(frame, this.expectationOf(frame, depth));
      this.#inspected.set(frame, inspected);
    }
    if (report !== null) for (const { message, code } of inspected.found) report(message, code);
    return inspected.children;
  }

  placeOf(frame: number, depth = 0): Place {
    const known = this.#places.get(frame);
    if (known !== undefined) return known;
    const { rootFrame } = this.parts;
    if (frame === rootFrame) return MEMORY;
    const parent = this.#parentOf(frame);
    const above = parent === NO_FRAME || depth > DEEPEST ? MEMORY : this.placeOf(parent, depth + 1);
    const place = above.frame(frame, this.expectationOf(frame)?.label ?? '');
    this.#places.set(frame, place);
    return place;
  }

  #offsetsIn(parent: number): ReadonlyMap<number, number> {
    const known = this.#offsets.get(parent);
    if (known !== undefined) return known;
    const swips = swipsOfFrame(this.parts.arena, this.parts.frames, parent) ?? [];
    const offsets = new Map(
      swips
        .filter(({ word }) => namesFrame(word))
        .map(({ word, offset }) => [this.parts.translation.frameOf(word >>> 2), offset]),
    );
    this.#offsets.set(parent, offsets);
    return offsets;
  }

  #inspect(frame: number, expected: Expectation | null): Inspected<Expectation> {
    const found: Found[] = [];
    let children: ReadonlyMap<number, Expectation> | null = null;
    try {
      if (expected !== null) children = this.inspector.inspect(frame, expected, (message) => found.push({ message }));
    } catch (error) {
      found.push({ message: `The page cannot be looked at: ${messageOf(error)}`, code: 'PW_INTERNAL' });
    }
    return { children, found };
  }

  /** The frame above, if there is a page in it. */
  #parentOf(frame: number): number {
    const { frames } = this.parts;
    const parent = frames.get(frame, PARENT);
    return parent >= 0 && parent < frames.count && isResident(frames, parent) ? parent : NO_FRAME;
  }
}
