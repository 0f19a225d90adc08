/**
 * What was opened in this thread and is not closed yet. It is looked at now and then, so that one which is soon closed costs nothing but to be written down; one that stays open is told of once, and
 * again when its time is over.
 */
export interface Opened {
  /** By {@link now}. */
  readonly begun: number;
}

export interface Patience {
  /** It is told of after so long; infinite: never. */
  readonly reportAfterMs: number;
  /** Its time is over after so long; infinite: never. */
  readonly endAfterMs: number;
}

/** So often within the shorter of both times they are looked at, but not more often than that. */
const LOOKS = 4;
const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 15_000;

/** The clock by which they are old. */
export function now(): number {
  return performance.now();
}

export class LeftOpen<One extends Opened> {
  readonly #open = new Set<One>();
  readonly #told = new WeakSet<One>();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    readonly patience: Patience,
    /** Told once that one has been open for `reportAfterMs`, and at each look that its time is over. */
    private readonly overdue: (one: One, openMs: number, isFirst: boolean, isOver: boolean) => void,
  ) {}

  add(one: One): void {
    this.#open.add(one);
    const { soonest } = this;
    if (this.#timer !== null || soonest === Number.POSITIVE_INFINITY) return;
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, soonest / LOOKS));
    this.#timer = setInterval(() => this.#look(), pause).unref();
  }

  delete(one: One): void {
    this.#open.delete(one);
  }

  /** All of them, in the order in which they were opened. */
  list(): One[] {
    return [...this.#open];
  }

  /** None is looked at any more. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  private get soonest(): number {
    return Math.min(this.patience.reportAfterMs, this.patience.endAfterMs);
  }

  #look(): void {
    if (this.#open.size === 0) this.stop();
    const time = now();
    const { soonest } = this;
    for (const one of this.list()) {
      const openMs = time - one.begun;
      // Behind the first that is young there are only younger ones.
      if (openMs < soonest) break;
      const isFirst = openMs >= this.patience.reportAfterMs && !this.#told.has(one);
      if (isFirst) this.#told.add(one);
      this.overdue(one, openMs, isFirst, openMs >= this.patience.endAfterMs);
    }
  }
}

/** Milliseconds as seconds, for people: with a decimal while it matters. */
export function secondsOf(ms: number): string {
  return (ms / 1000).toFixed(ms < 9_950 ? 1 : 0);
}

/** Where something was opened: frames of a stack, or what tells it. */
export type Place = { readonly stack?: string } | (() => string);

/** Where the caller of a function is: with the calls that led there, which are formatted if anyone asks. */
export function placeOfCaller(below: (...given: never[]) => unknown): { readonly stack?: string } {
  const { stackTraceLimit } = Error;
  const place: { stack?: string } = {};
  Error.stackTraceLimit = FRAMES;
  Error.captureStackTrace(place, below);
  Error.stackTraceLimit = stackTraceLimit;
  return place;
}

/** A place in words, for a person to find it by. */
export function textOf(place: Place): string {
  if (typeof place === 'function') return place();
  const { stack = '' } = place;
  return stack.slice(stack.indexOf('\n') + 1);
}

/** The beginning of a function, for a person to find it by. */
export function beginningOf(run: (...given: never[]) => unknown): string {
  const [first = '', ...more] = String(run).split('\n');
  return `    in the function ${run.name === '' ? '' : `${run.name}: `}${first.slice(0, MOST_SHOWN)}${more.length > 0 || first.length > MOST_SHOWN ? ' …' : ''}`;
}

/** Calls of a library between the program and the engine are among them. */
const FRAMES = 10;
const MOST_SHOWN = 120;
