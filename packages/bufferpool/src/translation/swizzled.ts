/**
 * Swizzling, after LeanStore (ICDE 2018, section III-A): the name of a page is its frame, so that there is nothing to look up and
 * nothing to keep. What it asks for is that a page has one swip, which is changed when the page comes, leaves or moves.
 */
import type { NamedFrames, Translation } from '@pagewright/core/contracts';
import { NO_FRAME } from '../frames.js';

export class Swizzled implements Translation {
  constructor(private readonly frames: Pick<NamedFrames, 'count' | 'setName'>) {}

  static stateBytes(): number {
    return 0;
  }

  frameOf(name: number): number {
    return name < this.frames.count ? name : NO_FRAME;
  }

  enter(frame: number): number {
    this.frames.setName(frame, frame);
    return frame;
  }

  leave(frame: number): void {
    this.frames.setName(frame, 0);
  }

  move(from: number, to: number): number {
    this.frames.setName(from, 0);
    this.frames.setName(to, to);
    return to;
  }
}
