/**
 * An event loop whose next event is chosen by seed: completions of I/O, timers, immediates, and the turns of whoever waits
 * for one. Between two events all that is ready to run has run. Microtasks go in the order that JavaScript gives them.
 */
import type { DiskOperation } from '../device/operation.js';
import type { Random } from '../random.js';

interface PendingEvent {
  readonly happen: () => void;
  /** Relative to others. Timers come seldom, because nothing may depend on them. */
  readonly weight: number;
}

const IO_WEIGHT = 8;
const TURN_WEIGHT = 6;
const IMMEDIATE_WEIGHT = 6;
const TIMER_WEIGHT = 1;

/** Of the time that `performance.now()` tells: what an event takes at most, and what asking does. */
const EVENT_MS = 2;
const ASKING_MS = 0.001;
/** Of asking once in so many times: another process had the processor meanwhile. */
const STALLS_ONE_IN = 200;
const STALL_MS = 30;

/** Events after which a round is taken for one that goes in circles. */
const MOST_EVENTS = 200_000;

const realImmediate = setImmediate;

export class ControlledLoop {
  /** Events that have happened. */
  events = 0;
  readonly #pending = new Set<PendingEvent>();
  /** As in the real loop, immediates come in order. */
  readonly #immediates: (() => void)[] = [];
  #restore: (() => void) | null = null;
  #now = 0;
  readonly #clock: Random;

  constructor(private readonly random: Random) {
    this.#clock = random.fork('clock');
  }

  /** For the `hold` of a simulated device: resolves when the operation is to take place. */
  readonly hold = (_operation: DiskOperation): Promise<void> => this.#event(IO_WEIGHT);

  /** Resolves when it is the caller's turn. */
  turn(): Promise<void> {
    return this.#event(TURN_WEIGHT);
  }

  /**
   * Runs until the work is over. Timers, immediates, `performance.now`, `Date.now` and `Math.random` of all that runs meanwhile are
   * this loop's.
   */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#takeOver();
    try {
      let isOver = false;
      const over = (): void => {
        isOver = true;
      };
      const working = work();
      working.then(over, over);
      for (;;) {
        await new Promise<void>((resolve) => realImmediate(resolve));
        if (isOver) return await working;
        this.#next();
      }
    } finally {
      this.#restore?.();
      this.#restore = null;
    }
  }

  #event(weight: number): Promise<void> {
    return new Promise((resolve) => this.#pending.add({ happen: resolve, weight }));
  }

  #next(): void {
    if (++this.events > MOST_EVENTS) throw new Error(`The round is not over after ${MOST_EVENTS} events`);
    this.#now += this.#clock.fraction() * EVENT_MS;
    let total = this.#immediates.length > 0 ? IMMEDIATE_WEIGHT : 0;
    for (const { weight } of this.#pending) total += weight;
    if (total === 0) throw new Error('Operations are under way, and nothing will ever end them');
    let at = this.random.below(total);
    if (this.#immediates.length > 0) {
      at -= IMMEDIATE_WEIGHT;
      if (at < 0) {
        this.#immediates.shift()?.();
        return;
      }
    }
    for (const event of this.#pending) {
      at -= event.weight;
      if (at >= 0) continue;
      this.#pending.delete(event);
      event.happen();
      return;
    }
  }

  #takeOver(): void {
    const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate };
    const { random } = Math;
    const { now } = performance;
    const date = Date.now;
    this.#restore = () => {
      Object.assign(globalThis, real);
      Math.random = random;
      performance.now = now;
      Date.now = date;
    };
    const clear = (timer: unknown): void => {
      if (timer instanceof ControlledTimer) timer.stop();
    };
    Object.assign(globalThis, {
      setTimeout: (run: () => void) => new ControlledTimer(this.#pending, run, false),
      setInterval: (run: () => void) => new ControlledTimer(this.#pending, run, true),
      clearTimeout: clear,
      clearInterval: clear,
      setImmediate: (run: (...values: unknown[]) => void, ...values: unknown[]) => {
        this.#immediates.push(() => run(...values));
      },
    });
    Math.random = () => this.random.fraction();
    performance.now = () => {
      const isStalled = this.#clock.below(STALLS_ONE_IN) === 0;
      this.#now += isStalled ? STALL_MS : ASKING_MS;
      return this.#now;
    };
    Date.now = () => Math.floor(this.#now);
  }
}

/** How late a timer comes is chosen like everything else; how long it was set for makes no difference. */
class ControlledTimer implements PendingEvent {
  readonly weight = TIMER_WEIGHT;

  constructor(
    private readonly pending: Set<PendingEvent>,
    private readonly run: () => void,
    private readonly repeats: boolean,
  ) {
    pending.add(this);
  }

  readonly happen = (): void => {
    if (this.repeats) this.pending.add(this);
    this.run();
  };

  stop(): void {
    this.pending.delete(this);
  }

  refresh(): this {
    this.pending.add(this);
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
