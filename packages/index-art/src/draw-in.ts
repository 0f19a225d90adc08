/**
 * Giving pages back: one that is empty is given up, one that is almost empty is drawn into its parent, if that has room for it. This follows a removal that is done already, and can
 * be left for a later one: so it passes over errors that leave the tree as it was. The same is done for a page that has pushed out nearly all that it had.
 */
import { HeldLatches, isLeftForLater, POINT, SWIP_SIZE, schedulePoint } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { TO_END } from './descent.js';
import { isOutside, kindFor, kindOf, nodeSize, offsetOf, SLICE, swipOf } from './node-layout.js';
import { capacityOfPage, freeBytes, livingSwips } from './page-heap.js';
import { heapUsedOf, ROOT_REFERENCE, rootOf, stampOf, swipOffset } from './page-layout.js';
import { Transfer } from './transfer.js';
import type { TreeParts } from './tree-parts.js';
import { AT_LINK } from './way.js';

/** A page is almost empty if what is on it takes no more than this share of it. */
const ALMOST_EMPTY = 0.25;
/** A page that draws another in is not fuller than that afterwards, so that the next insert does not push it out again. */
const DRAWN = 0.75;
/** A removal sets off at most so many changes; what is left over is done after later ones. */
const MOST_STEPS = 256;

export class DrawIn {
  readonly #held: HeldLatches;
  readonly #transfer: Transfer;

  constructor(private readonly parts: TreeParts) {
    this.#held = new HeldLatches(parts.context.pages);
    this.#transfer = new Transfer(parts.context.pages, parts.workspace);
  }

  /** Whether a latched page has become so empty that {@link shrink} should be called. */
  isAlmostEmpty(page: number): boolean {
    const { pages } = this.parts.context;
    const capacity = capacityOfPage(pages.pageSize);
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    if (heapUsedOf(segment, base) > capacity * ALMOST_EMPTY) return false;
    return capacity - freeBytes(segment, base, pages.pageSize) <= capacity * ALMOST_EMPTY;
  }

  /** Gives up, or draws in, what is almost empty on the way of a key. Changes nothing but the shape of the tree. */
  shrink(key: Uint8Array, timestamp: number): void {
    try {
      let last = TO_END;
      for (let step = 0; step < MOST_STEPS && last >= 0; step++) {
        last = this.#tend(key, last, timestamp);
        schedulePoint(POINT.mergeStep);
      }
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  /**
   * Draws a page of the way of a key into the one above if there is little left on it but links, after it has pushed out most of what it had: so that no
   * page lies on the way to others for the sake of a node or two.
   */
  raise(key: Uint8Array, ordinal: number, timestamp: number): void {
    try {
      this.#tend(key, ordinal, timestamp);
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  /** Which page of the way is to be looked at next; below 0: none. */
  #tend(key: Uint8Array, last: number, timestamp: number): number {
    const { descent } = this.parts;
    const page = descent.latchPair(key, last);
    const { parent, ordinal, atRoot, offset } = descent;
    this.#held.add(parent);
    this.#held.add(page);
    try {
      if (atRoot || !this.isAlmostEmpty(page)) return -1;
      const done = this.#draw(key, parent, offset, page, timestamp);
      return done ? ordinal - 1 : -1;
    } finally {
      this.#held.releaseAll();
    }
  }

  /** Takes what is on a page into its parent, and gives the page up. False: there is no room. */
  #draw(key: Uint8Array, parent: number, offset: number, page: number, timestamp: number): boolean {
    const { context, shape, way } = this.parts;
    const { pages, number } = context;
    const { pageSize } = pages;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    const above = pages.segmentOf(parent);
    const aboveBase = pages.baseOf(parent);
    const swips = livingSwips(segment, base, pageSize);
    const isEmpty = rootOf(segment, base) === 0;
    way.follow(parent, key);
    if (way.end !== AT_LINK || swipOffset(pageSize, swipOf(way.reference)) !== offset)
      throw damagedPage(number, parent, 'it does not lead to the page that it led to');
    if (!isEmpty) {
      const most = capacityOfPage(pageSize) * DRAWN;
      const both =
        capacityOfPage(pageSize) -
        freeBytes(above, aboveBase, pageSize) +
        heapUsedOf(segment, base) +
        swips * SWIP_SIZE;
      if (both > most) return false;
      shape.assertSound(page);
      const needed = this.#bytesAbove(page, parent, swips);
      if (both + this.#growth(page, parent) > most || !shape.hasRoom(parent, needed)) return false;
      // Both pages keep the higher stamp: what was removed here is looked for there from now on.
      if (shape.provide(parent, needed, Math.max(timestamp, stampOf(segment, base)))) {
        way.follow(parent, key);
        if (!shape.fits(parent, this.#bytesAbove(page, parent, swips))) return false;
      }
    }
    pages.modify(parent, Math.max(timestamp, stampOf(segment, base)));
    pages.modify(page, timestamp);
    // Where it stands by now: a page that was written anew has its swips elsewhere.
    const place = swipOffset(pageSize, swipOf(way.reference));
    if (isEmpty) {
      pages.unlink(parent, place);
      shape.remove(parent);
    } else {
      if (kindOf(way.reference) === SLICE) this.#spread(parent, page, swips);
      else {
        const drawn = this.#transfer.drawSubtree(page, parent, rootOf(segment, base), swips);
        above.u16[(aboveBase + way.place) >>> 1] = drawn;
      }
      segment.u16[(base + ROOT_REFERENCE) >>> 1] = 0;
      pages.unlink(parent, place);
    }
    this.#held.forget(page);
    pages.free(page);
    return true;
  }

  /** Puts the children of a slice into the node above. */
  #spread(parent: number, page: number, swips: number): void {
    const { context, shape, way, workspace } = this.parts;
    const { pages } = context;
    const { node, other } = workspace;
    const root = rootOf(pages.segmentOf(page), pages.baseOf(page));
    other.read(pages.segmentOf(page), pages.baseOf(page) + offsetOf(root), kindOf(root));
    this.#transfer.drawChildren(page, parent, other, swips);
    const level = way.nodes - 1;
    const reference = way.references[level]!;
    node.read(pages.segmentOf(parent), pages.baseOf(parent) + offsetOf(reference), kindOf(reference));
    node.spread(node.indexOf(way.byte), other);
    shape.rewrite(parent, level);
  }

  /** What all that is on a page takes in the page above. */
  #bytesAbove(page: number, parent: number, swips: number): number {
    const { pages } = this.parts.context;
    const used = heapUsedOf(pages.segmentOf(page), pages.baseOf(page));
    return used + this.#transfer.bytesForSwips(parent, swips) + this.#growth(page, parent);
  }

  /** What the node above takes more, if the page is a slice. */
  #growth(page: number, parent: number): number {
    const { context, way, workspace } = this.parts;
    const { pages } = context;
    if (kindOf(way.reference) !== SLICE) return 0;
    const { node, other } = workspace;
    const root = rootOf(pages.segmentOf(page), pages.baseOf(page));
    const reference = way.references[way.nodes - 1]!;
    if (isOutside(root)) throw damagedPage(context.number, page, 'its root is a link');
    other.read(pages.segmentOf(page), pages.baseOf(page) + offsetOf(root), kindOf(root));
    node.read(pages.segmentOf(parent), pages.baseOf(parent) + offsetOf(reference), kindOf(reference));
    const most = kindFor(node.places + other.places, node.count + other.count);
    return most > kindOf(reference) ? nodeSize(most, node.prefixLength) : 0;
  }
}
