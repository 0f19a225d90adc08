/** Room in the page file for what the commit of a thread is about to change: secured before its record is appended, and given back when its changes are made. */
import type { ConcurrencyHost } from '@pagewright/core';

export class FileRoom {
  /** Pages that it is secured for. */
  #pages = 0;

  constructor(private readonly host: ConcurrencyHost) {}

  /** Makes sure that the thread can make so many pages dirty until {@link give}, whatever others do. `PW_FULL`: nothing has changed. */
  secure(pages: number): void {
    this.host.pages.secureSpace(pages);
    this.#pages += pages;
  }

  /** The changes are made, or given up. */
  give(): void {
    if (this.#pages === 0) return;
    this.host.pages.giveSpace(this.#pages);
    this.#pages = 0;
  }
}
