/** Options that would make what is asked for hang, or do nothing without saying so, are refused. */

/** Throws a `RangeError` unless the option is a whole number from `least` on. */
export function checkCount(option: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(`${option} is ${value}; it must be a whole number, at least ${least}.`);
}

/** The same, but infinity will do as well. */
export function checkLimit(option: string, value: number, least: number): void {
  if (value !== Number.POSITIVE_INFINITY) checkCount(option, value, least);
}

/** Throws a `RangeError` unless the seed is a whole number, of any size: what is none would be taken as 0. */
export function checkSeed(seed: number): void {
  if (!Number.isInteger(seed)) throw new RangeError(`seed is ${seed}; it must be a whole number.`);
}

/** Throws a `RangeError` unless the option is from 0 to 1. */
export function checkShare(option: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new RangeError(`${option} is ${value}; it must be from 0 to 1.`);
}

/** Throws a `RangeError` unless the option is one of these. */
export function checkOneOf(option: string, value: unknown, known: readonly string[]): void {
  if (known.some((one) => one === value)) return;
  throw new RangeError(`${option} is ${String(value)}; it must be one of: ${known.join(', ')}.`);
}

/** Throws a `TypeError` unless the option is a function. */
export function checkFunction(option: string, value: unknown): void {
  if (typeof value === 'function') return;
  throw new TypeError(`${option} is ${String(value)}; it must be a function.`);
}

/** Throws a `TypeError` for what is misspelt: a property that has none of these names. */
export function checkNames(what: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw new TypeError(`${what} has no '${name}'; it has: ${known.join(', ')}.`);
  }
}
