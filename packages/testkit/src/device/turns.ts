/**
 * The schedule of a device: when each part of an operation happens, and when the operation ends. Time is counted in turns
 * of the event loop, and every choice comes from a seed; so operations overtake each other, the same way in every run.
 */
import { checkCount, checkNames } from '../option-check.js';
import type { Random } from '../random.js';
import { type Part, SECTOR } from './operation.js';

/** How operations that do not wait in place are spread over time. */
export interface Schedule {
  /** Each operation takes from one turn of the event loop to so many. Default: 6. */
  readonly turns?: number;
}

/** A transfer is seen in at most so many parts. */
const MOST_PARTS = 4;

interface Due {
  readonly turn: number;
  run(): void;
}

export class Turns {
  readonly #random: Random;
  readonly #most: number;
  #now = 0;
  #due: Due[] = [];
  #ticking = false;

  constructor(random: Random, schedule: Schedule) {
    checkNames('A schedule', schedule, ['turns']);
    const { turns = 6 } = schedule;
    checkCount('turns', turns, 1);
    this.#random = random;
    this.#most = turns;
  }

  /** The parts that a transfer of this length, which begins at this offset of the file, happens in: cut between sectors. */
  partsOf(offset: number, length: number): Part[] {
    const first = SECTOR - (offset % SECTOR);
    const boundaries = length > first ? Math.ceil((length - first) / SECTOR) : 0;
    const cuts = new Set<number>();
    for (let cut = Math.min(boundaries, this.#random.below(MOST_PARTS)); cut > 0; cut--) {
      cuts.add(first + this.#random.below(boundaries) * SECTOR);
    }
    const ends = [...cuts, length].sort((a, b) => a - b);
    return this.#random.shuffle(ends.map((to, index) => ({ from: index === 0 ? 0 : (ends[index - 1] as number), to })));
  }

  /** Makes the parts happen at turns of their own; resolves at the turn of the last. */
  spread(parts: readonly Part[], happen: (part: Part) => void): Promise<void> {
    const last = this.#now + this.#random.between(1, this.#most);
    return new Promise((resolve, reject) => {
      let left = parts.length;
      for (const [index, part] of parts.entries()) {
        const turn = index === 0 ? last : this.#random.between(this.#now + 1, last);
        this.#at(turn, () => {
          try {
            happen(part);
          } catch (error) {
            reject(error);
          }
          if (--left === 0) resolve();
        });
      }
    });
  }

  #at(turn: number, run: () => void): void {
    this.#due.push({ turn, run });
    if (this.#ticking) return;
    this.#ticking = true;
    setImmediate(() => this.#tick());
  }

  #tick(): void {
    this.#now++;
    const now = this.#due.filter(({ turn }) => turn <= this.#now);
    this.#due = this.#due.filter(({ turn }) => turn > this.#now);
    for (const { run } of this.#random.shuffle(now)) run();
    this.#ticking = this.#due.length > 0;
    if (this.#ticking) setImmediate(() => this.#tick());
  }
}
