/**
 * Who hears that a signal is aborted. A signal has one listener, however much waits for it: Node warns of a leak where one has more than ten, and a program
 * may well end all that is under way by one. It goes with the last that waits, since a listener keeps a signal alive.
 */
const listening = new WeakMap<AbortSignal, Hearing>();

class Hearing {
  private readonly all = new Set<() => void>();

  constructor(private readonly signal: AbortSignal) {
    signal.addEventListener('abort', this);
  }

  add(run: () => void): () => void {
    // The same function may wait more than once.
    const one = (): void => run();
    this.all.add(one);
    return () => {
      if (this.all.delete(one) && this.all.size === 0) this.end();
    };
  }

  handleEvent(): void {
    const all = [...this.all];
    this.end();
    // What one does may end the wait of another.
    for (const one of all) if (this.all.delete(one)) one();
  }

  private end(): void {
    listening.delete(this.signal);
    this.signal.removeEventListener('abort', this);
  }
}

/** Runs it when the signal is aborted, which it is not yet; what is returned ends the wait for that. What it does must not throw. */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  let hearing = listening.get(signal);
  if (hearing === undefined) {
    hearing = new Hearing(signal);
    listening.set(signal, hearing);
  }
  return hearing.add(run);
}
