/**
 * The reads that go on while nobody is blocked, and how much of the pool they may take. Who wants a page that is on its way
 * waits for the same read.
 *
 * Must hold: what is read because somebody waits for it gets its turn, first come, first served; what is read ahead takes
 * only what is left, and never more than half.
 */

export class ReadsInFlight {
  readonly #byAddress = new Map<number, Promise<void>>();
  /** Those that wait for room. */
  readonly #waiting: { readonly frames: number; readonly resume: () => void }[] = [];
  #running = 0;
  /** Frames that reads in flight have taken. */
  #taken = 0;

  constructor(
    /** Reads in flight at most. */
    private readonly depth: number,
    /** Frames that they may take together; a larger page is read alone. */
    private readonly budget: number,
  ) {}

  /** The read that brings the page of this folded address, if there is one. */
  of(address: number): Promise<void> | undefined {
    return this.#byAddress.get(address);
  }

  begin(address: number, reading: Promise<void>): void {
    this.#byAddress.set(address, reading);
  }

  end(address: number): void {
    this.#byAddress.delete(address);
  }

  /** Resolves when no read is in flight. Never rejects. */
  async idle(): Promise<void> {
    while (this.#byAddress.size > 0) await Promise.allSettled(this.#byAddress.values());
  }

  /** Takes room for a page of so many frames; waits until there is some. Give it back by `leave`. */
  async enter(frames: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(frames)) this.#take(frames);
    else await new Promise<void>((resume) => this.#waiting.push({ frames, resume }));
  }

  /** The same for a page that nobody waits for yet: whether there was room. */
  tryEnter(frames: number): boolean {
    const fits = this.#waiting.length === 0 && this.#running < this.depth && 2 * (this.#taken + frames) <= this.budget;
    if (fits) this.#take(frames);
    return fits;
  }

  leave(frames: number): void {
    this.#running--;
    this.#taken -= frames;
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.frames); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(first.frames);
      first.resume();
    }
  }

  #fits(frames: number): boolean {
    return this.#running === 0 || (this.#running < this.depth && this.#taken + frames <= this.budget);
  }

  #take(frames: number): void {
    this.#running++;
    this.#taken += frames;
  }
}
