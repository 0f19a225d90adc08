/** Options of explorers that would make them hang, or do nothing without saying so, are refused. */

/** Throws a `RangeError` unless the option is a whole number from `least` on. */
export function checkCount(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`${option} is ${value}; it must be a whole number, at least ${least}.`);
}

/** Throws a `RangeError` unless the option is from 0 to 1. */
export function checkShare(option: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new RangeError(`${option} is ${value}; it must be from 0 to 1.`);
}
