/** What a node is to be written with, beside its entries. */
import { commonLength } from './key-order.js';
import { NO_FENCE } from './node-layout.js';

export interface NodeBounds {
  /** The upper fence, and its length or {@link NO_FENCE}. */
  readonly fence: Uint8Array;
  readonly fenceLength: number;
  /** How many bytes the lower and the upper fence have in common, or fewer. */
  readonly guaranteed: number;
}

/** Bytes that the fence takes on the page. */
export function fenceBytes(bounds: NodeBounds): number {
  return bounds.fenceLength === NO_FENCE ? 0 : bounds.fenceLength;
}

/**
 * How many bytes all keys between two bounds begin with for sure. A missing bound (length {@link NO_FENCE}) shares
 * nothing with any other.
 */
export function guaranteedBetween(a: Uint8Array, aLength: number, b: Uint8Array, bLength: number): number {
  return aLength === NO_FENCE || bLength === NO_FENCE ? 0 : commonLength(a, aLength, b, bLength);
}
