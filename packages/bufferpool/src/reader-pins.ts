/**
 * The writer's side of C7: which epochs readers in other processes still need. It looks after each superblock switch, before
 * anything is used again, and once when the store is opened.
 *
 * Must hold: what is used again was given up in an epoch that every reader has passed who was there to be seen. Who published a pin
 * and then found its superblock in a slot was there: the slot is written over only before a later look.
 */
import type { IoFile } from '@pagewright/core/contracts';

/** What a pin says: the store, lest a pin outlives the file beside which it stands, and the oldest epoch that is read. */
export function pinText(storeId: string, epoch: number): string {
  return `${storeId} ${epoch}`;
}

export class ReaderPins {
  /** Readers that were there at the last look. */
  count = 0;
  #limit = 0;

  constructor(
    private readonly file: IoFile,
    private readonly storeId: string,
  ) {}

  /**
   * Up to which epoch extents that were given up may be used again, if no superblock names an epoch before `oldestNamed`. A look that
   * fails changes nothing: what could be used again before still can, and no more. Never rejects.
   */
  async limit(oldestNamed: number): Promise<number> {
    if (this.file.pins === undefined) return oldestNamed;
    try {
      const epochs = (await this.file.pins()).flatMap((text) => this.#epochOf(text));
      this.count = epochs.length;
      this.#limit = Math.min(oldestNamed, ...epochs);
    } catch {
      // Its directory is closed to the writer, or the disk is ill. Readers never stop a writer: the next look may see more.
    }
    return this.#limit;
  }

  /** None for the pin of another store, or for what is no pin. */
  #epochOf(text: string): number[] {
    const [storeId, epoch] = text.split(' ');
    const number = Number(epoch);
    return storeId === this.storeId && Number.isSafeInteger(number) && number > 0 ? [number] : [];
  }
}
