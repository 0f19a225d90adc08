/** How many pages lie one below the other on the way to the first entry. */
import type { TreeParts } from './tree-parts.js';

const AT_BEGINNING = { key: null, exclusive: false, reverse: false };

/** 1 is a page alone. Reads the pages on the way if they are not in memory. */
export function heightOf({ context, scanDescent }: TreeParts): number {
  const frame = scanDescent.descendLatched(AT_BEGINNING);
  context.pages.unlatch(frame);
  return scanDescent.ordinal + 1;
}
