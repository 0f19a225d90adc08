/**
 * Waits of threads that are played by one. An operation that runs while another one stands at a schedule point must not wait for it,
 * because that one goes on when this one is over: it gives up instead, by {@link WouldWait}. Elsewhere nobody else runs, so that a
 * wait is over at once, and whoever waited looks again.
 *
 * Must hold: what waits does so in `Atomics.wait`, and has nothing half done where it waits.
 */

/** Thrown where a thread would wait for one that stands at a schedule point. */
export class WouldWait extends Error {
  constructor() {
    super('An operation waits for one that stands at a schedule point, and cannot give up here');
  }
}

/** Until the function that it returns is called, nothing waits. */
export function endWaits(isNested: () => boolean): () => void {
  const { wait } = Atomics;
  Atomics.wait = () => {
    if (isNested()) throw new WouldWait();
    return 'timed-out';
  };
  return () => {
    Atomics.wait = wait;
  };
}
