/** What a writer of the endless script has told, over all the processes that it was: lines of text, by which the store is held to its word. */
import { LANES } from './endless-script.js';

/** The lines that there are. */
export const lineOf = {
  ready: (): string => 'ready',
  acknowledged: (lane: number, number: number): string => `acknowledged ${lane} ${number}`,
  begun: (interlude: string): string => `begun ${interlude}`,
  done: (stretch: number): string => `done ${stretch}`,
} as const;

export class WriterRecord {
  /** Whether all indexes were acknowledged once. */
  ready = false;
  /** The highest number that each lane was told is durable. */
  readonly acknowledged: number[] = new Array<number>(LANES).fill(0);
  /** The last stretch after which the interlude was acknowledged. */
  done = 0;

  hear(lines: readonly string[]): void {
    for (const line of lines) {
      const [word, first, second] = line.split(' ');
      if (word === 'ready') this.ready = true;
      else if (word === 'done') this.done = Math.max(this.done, Number(first));
      else if (word === 'acknowledged') {
        const lane = Number(first);
        this.acknowledged[lane] = Math.max(this.acknowledged[lane] as number, Number(second));
      }
    }
  }
}
