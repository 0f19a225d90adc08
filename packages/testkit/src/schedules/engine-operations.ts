/** What the actors of an engine round do, drawn from a seed; and the keys that they do it to. */
import type { Random } from '../random.js';

export type EngineKind =
  | 'get'
  | 'get-many'
  | 'put'
  | 'delete'
  | 'batch'
  | 'pair'
  | 'transfer'
  | 'increment'
  | 'by-hand'
  | 'range'
  | 'snapshot'
  | 'checkpoint'
  | 'clear'
  | 'recreate'
  | 'side';

export interface EngineOperation {
  readonly kind: EngineKind;
  /** Number of the key, or of the first one. */
  readonly key: number;
  /** Bytes that a value is padded with; turns that a snapshot is held for. */
  readonly size: number;
  /** In its synchronous form, where there is one. */
  readonly sync: boolean;
}

/** What others do while an operation stands at a point: all of it is synchronous. */
export type IntruderKind =
  | 'get'
  | 'scan'
  | 'snapshot'
  | 'read-snapshot'
  | 'release'
  | 'put'
  | 'delete'
  | 'transfer'
  | 'increment'
  | 'pair'
  | 'collect';

export interface IntruderOperation {
  readonly kind: IntruderKind;
  readonly key: number;
  readonly size: number;
}

export const REGISTERS = 40;
export const ACCOUNTS = 6;
export const BALANCE = 100;
export const COUNTERS = 3;
export const PAIRS = 3;
export const STABLE = 500;
export const SIDE_KEYS = 12;
/** Keys that only intruders write: they are free of what the operations that stand at points are about. */
export const INTRUDERS_KEYS = 12;
export const WITNESSES = 24;

const KINDS: readonly (readonly [number, EngineKind])[] = [
  [14, 'get'],
  [3, 'get-many'],
  [18, 'put'],
  [8, 'delete'],
  [5, 'batch'],
  [7, 'pair'],
  [10, 'transfer'],
  [9, 'increment'],
  [5, 'by-hand'],
  [6, 'range'],
  [8, 'snapshot'],
  [4, 'checkpoint'],
  [1, 'clear'],
  [1, 'recreate'],
  [6, 'side'],
];

const INTRUDER_KINDS: readonly (readonly [number, IntruderKind])[] = [
  [14, 'get'],
  [8, 'scan'],
  [8, 'snapshot'],
  [14, 'read-snapshot'],
  [9, 'release'],
  [14, 'put'],
  [8, 'delete'],
  [6, 'transfer'],
  [6, 'increment'],
  [5, 'pair'],
  [8, 'collect'],
];

export function engineOperations(random: Random, count: number): EngineOperation[] {
  const large = random.chance(0.5);
  return Array.from({ length: count }, () => ({
    kind: weighted(random, KINDS),
    key: random.below(10_000),
    size: large ? random.pick([0, 2000, 4000, 6000]) : random.pick([0, 10, 200, 900]),
    sync: random.chance(0.25),
  }));
}

export function intruderOperations(random: Random, count: number): IntruderOperation[] {
  return Array.from({ length: count }, () => ({
    kind: weighted(random, INTRUDER_KINDS),
    key: random.below(10_000),
    size: random.pick([0, 20, 500]),
  }));
}

function weighted<Kind>(random: Random, kinds: readonly (readonly [number, Kind])[]): Kind {
  let at = random.below(kinds.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, kind] of kinds) {
    at -= weight;
    if (at < 0) return kind;
  }
  throw new Error('No kind of operation has a weight');
}
