/**
 * What is fuzzed: a decoder, valid inputs for it, and what may come of damaged ones. A target is its own oracle: it
 * compares what was decoded with what it knows, and throws when the two differ.
 */
import type { ErrorCode } from '@pagewright/core';
import type { Random } from '../random.js';
import type { Field } from './mutator.js';

/** A valid input. */
export interface FuzzSeed<Context> {
  readonly bytes: Uint8Array;
  /** What the target must know of it: where it belongs, what it holds. */
  readonly context: Context;
  /** Where its bytes mean something. Default: everywhere alike. */
  readonly fields?: readonly Field[];
}

export interface FuzzTarget<Context = unknown> {
  readonly name: string;
  /** Whether damaged inputs may be of another length than valid ones. */
  readonly resizes: boolean;
  /** What damage may be refused with, as a `PagewrightError`. Whatever else is thrown is a finding. */
  readonly refusals: ReadonlySet<ErrorCode>;
  /** Valid inputs, which depend on `random` alone. */
  seeds(random: Random): readonly FuzzSeed<Context>[] | Promise<readonly FuzzSeed<Context>[]>;
  /**
   * Makes checksums right again after the damage, so that what stands behind them is reached as well. Done to every other
   * input, if it is there.
   */
  repair?(bytes: Uint8Array, seed: FuzzSeed<Context>): void;
  /**
   * Decodes an input, and says in a word or two what came of it. It may keep or change the bytes. Throws a
   * `PagewrightError` of {@link refusals} for an input that the decoder refuses, and anything else for a fault.
   * It must bound its own work: by a budget of steps, not by time.
   */
  run(bytes: Uint8Array, seed: FuzzSeed<Context>, isRepaired: boolean): string | Promise<string>;
}
