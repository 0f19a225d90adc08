/**
 * The keys of an engine round, and what they hold. Several kinds have rules of their own: *registers* are written alone
 * and have a history each; *accounts* keep their sum; *counters* lose no increment; *pairs* change together; *stable* keys
 * never change; the index `side` is cleared, dropped and made again.
 */
import type { IndexHandle } from '@pagewright/core';
import {
  ACCOUNTS,
  BALANCE,
  COUNTERS,
  INTRUDERS_KEYS,
  PAIRS,
  REGISTERS,
  SIDE_KEYS,
  STABLE,
  WITNESSES,
} from './engine-operations.js';

/** What a value says: which write it is, and a number for those that count. */
export interface Content {
  readonly id: number;
  readonly count: number;
  readonly padding: string;
}

export type Handle = IndexHandle<string, Content>;

export const MAIN = 'main';
export const SIDE = 'side';

export const register = (number: number): string => `r${digits(number % REGISTERS)}`;
export const stable = (number: number): string => `s${digits(number % STABLE)}`;
export const intrudersKey = (number: number): string => `i${digits(number % INTRUDERS_KEYS)}`;
/** Deleted beside a snapshot before the engine was opened: their tombstones are swept. */
export const witness = (number: number): string => `w${digits(number % WITNESSES)}`;
export const account = (number: number): string => `a${digits(number % ACCOUNTS)}`;
export const counter = (number: number): string => `c${digits(number % COUNTERS)}`;
export const pair = (number: number, end: 0 | 1): string =>
  `p${digits(number % PAIRS)}${end === 0 ? '/left' : '/right'}`;
export const side = (number: number): string => `t${digits(number % SIDE_KEYS)}`;

/** Accounts keep their sum, and pairs change together. */
export function checkWhole(contents: ReadonlyMap<string, Content>, at: string): void {
  let sum = 0;
  for (let number = 0; number < ACCOUNTS; number++) sum += contents.get(account(number))?.count ?? 0;
  if (sum !== ACCOUNTS * BALANCE) throw new Error(`${at} shows accounts with ${sum} instead of ${ACCOUNTS * BALANCE}`);
  for (let number = 0; number < PAIRS; number++) {
    const left = contents.get(pair(number, 0))?.id;
    const right = contents.get(pair(number, 1))?.id;
    if (left !== right) throw new Error(`${at} shows half a transaction: ${left} on the left, ${right} on the right`);
  }
}

export function accounts(): string[] {
  return Array.from({ length: ACCOUNTS }, (_, number) => account(number));
}

/** Every stable key must be among these. */
export function checkStable(keys: readonly string[]): void {
  const there = new Set(keys);
  for (let number = 0; number < STABLE; number++)
    if (!there.has(stable(number))) throw new Error(`${stable(number)} is missing from a range, and never changed`);
}

/** What a write puts. */
export function contentOf({ id }: { readonly id: number }, size: number): Content {
  return { id, count: 0, padding: 'x'.repeat(size) };
}

function digits(number: number): string {
  return String(number).padStart(4, '0');
}
