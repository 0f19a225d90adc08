/** What readers of the simulated device show to the writers of its files. All of it is in memory: nobody outlives the device. */
import type { ReaderPin } from '@pagewright/core';
import type { StoredFile } from './stored-file.js';

interface Shown {
  text: string;
}

export class PinBoard {
  readonly #shown = new Map<StoredFile, Set<Shown>>();

  publish(file: StoredFile, text: string): ReaderPin {
    const ofFile = this.#shown.get(file) ?? new Set();
    this.#shown.set(file, ofFile);
    const shown: Shown = { text };
    ofFile.add(shown);
    return {
      move: async (next) => {
        shown.text = next;
      },
      release: async () => {
        ofFile.delete(shown);
      },
    };
  }

  shownOf(file: StoredFile): string[] {
    return [...(this.#shown.get(file) ?? [])].map(({ text }) => text);
  }

  /** Nothing is shown any more, whoever showed it. */
  clear(): void {
    this.#shown.clear();
  }
}
