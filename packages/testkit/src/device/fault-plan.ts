/**
 * Which operations of a device go wrong, and how: by number, by kind and place, or with a probability by seed; once, some
 * times, or from then on. What was injected is recorded with its operation and place; what could not be is not.
 */
import { checkCount, checkLimit, checkNames, checkOneOf, checkShare } from '../option-check.js';
import type { Random } from '../random.js';
import {
  type Deed,
  type DiskOperation,
  ioError,
  OPERATION_KINDS,
  type OperationKind,
  SECTOR,
  sectorsOf,
  wholeOf,
} from './operation.js';
import type { StoredFile } from './stored-file.js';
import { Transfer } from './transfer.js';

/** A place in a file. */
export interface Place {
  readonly path: string;
  /** In bytes. */
  readonly offset: number;
}

/** What goes wrong. A place that is left out is chosen by the device's seed. */
export type Fault =
  /** The operation fails: `EIO`, `ENOSPC`, or any other. Nothing of it happens; of a `torn` write some sectors do. */
  | { readonly kind: 'error'; readonly errno: string; readonly torn?: boolean }
  /**
   * The sync cannot write back what it should, and each open file of the same data is told once. What was dirty is then
   * `dropped`: clean as far as later syncs are concerned, still seen by reads, and lost by a crash. Or it is `kept`.
   */
  | { readonly kind: 'failed-sync'; readonly dirty: 'dropped' | 'kept' }
  /** The write is acknowledged, and never happens. */
  | { readonly kind: 'lost-write' }
  /** The write goes to another place, in this file or in another. */
  | { readonly kind: 'misdirected-write'; readonly to?: Place }
  /** The read comes from another place, in this file or in another. */
  | { readonly kind: 'misdirected-read'; readonly from?: Place }
  /** Before the operation one bit of what is stored is another: of what it reads or writes over, or of its file. */
  | { readonly kind: 'bit-rot'; readonly at?: Place; readonly bit?: number };

/** When a fault happens: at each operation of which all that is given here is true. */
export interface FaultRule {
  readonly fault: Fault;
  /** The number of the operation. */
  readonly at?: number;
  /** Numbers from this one on. */
  readonly from?: number;
  /** Kinds of operation. Default: those that the fault is usual for. */
  readonly kinds?: readonly OperationKind[];
  readonly when?: (operation: DiskOperation) => boolean;
  /** With this probability, by the device's seed. Default: 1. */
  readonly chance?: number;
  /** So many times in all; `Infinity`: from then on. Default: 1. */
  readonly times?: number;
}

/** A fault that has happened. */
export interface InjectedFault {
  readonly kind: Fault['kind'];
  /** Number of the operation. */
  readonly operation: number;
  /** Where the operation wanted to go; of `bit-rot`, which byte it is. */
  readonly path: string;
  readonly offset: number;
  /** Of an error. */
  readonly errno?: string;
  /** Where a misdirected transfer went. */
  readonly instead?: Place;
}

/** What faults need to know of what is stored. */
export interface Storage {
  paths(): string[];
  file(path: string): StoredFile | undefined;
}

export class FaultPlan {
  readonly injected: InjectedFault[] = [];
  readonly #random: Random;
  readonly #storage: Storage;
  #rules: { readonly rule: FaultRule; left: number }[] = [];

  constructor(random: Random, storage: Storage) {
    this.#random = random;
    this.#storage = storage;
  }

  /** Adds a rule; returns how to take it back. Errors: `RangeError` and `TypeError` for a rule by which nothing could happen. */
  add(rule: FaultRule): () => void {
    checkRule(rule);
    const entry = { rule, left: rule.times ?? 1 };
    this.#rules.push(entry);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== entry);
    };
  }

  /** Does to an operation what is planned for it. @throws the error of the device, if that is what is planned */
  apply(operation: DiskOperation, deed: Deed): void {
    for (const entry of this.#rules) {
      if (entry.left === 0 || !this.#applies(entry.rule, operation)) continue;
      const fault = this.#inject(entry.rule.fault, operation, deed);
      if (fault === null) continue;
      entry.left--;
      this.injected.push({ kind: entry.rule.fault.kind, operation: operation.number, ...fault });
      if (fault.errno !== undefined) throw ioError(fault.errno, fault.path, 'a fault that was planned', fault.offset);
    }
  }

  #applies({ fault, at, from, kinds, when, chance }: FaultRule, operation: DiskOperation): boolean {
    if (at !== undefined && operation.number !== at) return false;
    if (from !== undefined && operation.number < from) return false;
    const usual = kinds ?? (at === undefined ? usualKinds(fault) : null);
    if (usual !== null && !usual.includes(operation.kind)) return false;
    return (when?.(operation) ?? true) && (chance === undefined || this.#random.chance(chance));
  }

  /** What came of it; null if the fault cannot befall this operation. */
  #inject(fault: Fault, operation: DiskOperation, deed: Deed): Omit<InjectedFault, 'kind' | 'operation'> | null {
    const { path, offset = 0 } = operation;
    switch (fault.kind) {
      case 'error':
        if (fault.torn === true && deed.kind === 'write') this.#tear(deed);
        return { path, offset, errno: fault.errno };
      case 'failed-sync': {
        const file = this.#storage.file(path);
        if ((deed.kind !== 'sync' && deed.kind !== 'write-back') || file === undefined) return null;
        file.failWriteBack(fault.dirty);
        return { path, offset };
      }
      case 'lost-write':
        if (!(deed instanceof Transfer) || deed.kind !== 'write') return null;
        deed.lose();
        return { path, offset };
      case 'misdirected-write':
        return deed.kind === 'write' ? this.#misdirect(deed, fault.to) : null;
      case 'misdirected-read':
        return deed.kind === 'read' ? this.#misdirect(deed, fault.from) : null;
      case 'bit-rot':
        return this.#rot(fault.at ?? this.#placeToRot(operation), fault.bit ?? this.#random.below(8));
    }
  }

  #tear(deed: Deed): void {
    for (const sector of sectorsOf(deed, wholeOf(deed))) if (this.#random.chance(0.5)) deed.happen(sector);
  }

  #misdirect(deed: Deed, wanted: Place | undefined): Omit<InjectedFault, 'kind' | 'operation'> | null {
    if (!(deed instanceof Transfer)) return null;
    const instead = wanted ?? this.#elsewhere(deed);
    if (instead === null) return null;
    const file = this.#storage.file(instead.path);
    if (file === undefined) return null;
    deed.misdirect(file, instead.offset);
    return { path: deed.path, offset: deed.offset, instead };
  }

  /** Another place with the same place in its sector, in any file that is long enough. */
  #elsewhere({ file, offset, length }: Transfer): Place | null {
    const within = offset % SECTOR;
    const sectorsIn = (size: number): number => Math.max(0, Math.floor((size - within - length) / SECTOR) + 1);
    const roomy = this.#storage.paths().filter((path) => {
      const other = this.#storage.file(path) as StoredFile;
      return sectorsIn(other.size) > (other === file ? 1 : 0);
    });
    if (roomy.length === 0) return null;
    const path = this.#random.pick(roomy);
    const other = this.#storage.file(path) as StoredFile;
    const sectors = sectorsIn(other.size);
    const own = Math.floor(offset / SECTOR);
    if (other !== file || own >= sectors) return { path, offset: this.#random.below(sectors) * SECTOR + within };
    const sector = this.#random.below(sectors - 1);
    return { path, offset: (sector < own ? sector : sector + 1) * SECTOR + within };
  }

  #placeToRot({ path, offset = 0, length = 0 }: DiskOperation): Place {
    const size = this.#storage.file(path)?.size ?? 0;
    const end = Math.min(size, offset + length);
    return offset < end
      ? { path, offset: offset + this.#random.below(end - offset) }
      : { path, offset: this.#random.below(size) };
  }

  #rot({ path, offset }: Place, bit: number): Place | null {
    const file = this.#storage.file(path);
    if (file === undefined || offset >= file.size) return null;
    file.flip(offset, bit);
    return { path, offset };
  }
}

const RULE = ['fault', 'at', 'from', 'kinds', 'when', 'chance', 'times'];
/** The properties of each kind of fault. */
const FAULTS: { readonly [Kind in Fault['kind']]: readonly string[] } = {
  error: ['kind', 'errno', 'torn'],
  'failed-sync': ['kind', 'dirty'],
  'lost-write': ['kind'],
  'misdirected-write': ['kind', 'to'],
  'misdirected-read': ['kind', 'from'],
  'bit-rot': ['kind', 'at', 'bit'],
};

function checkRule(rule: FaultRule): void {
  checkNames('A rule of faults', rule, RULE);
  const { fault, at, from, kinds, chance, times } = rule;
  checkOneOf('fault.kind', fault.kind, Object.keys(FAULTS));
  checkNames(`The fault ${fault.kind}`, fault, FAULTS[fault.kind]);
  if (fault.kind === 'error' && !/^E[A-Z0-9]+$/.test(fault.errno))
    throw new RangeError(`fault.errno is ${fault.errno}; it must be the name of an error, as EIO.`);
  if (fault.kind === 'failed-sync') checkOneOf('fault.dirty', fault.dirty, ['dropped', 'kept']);
  if (fault.kind === 'bit-rot' && fault.bit !== undefined) checkOneOf('fault.bit', String(fault.bit), [...'01234567']);
  if (at !== undefined) checkCount('at', at, 1);
  if (from !== undefined) checkLimit('from', from, 0);
  if (times !== undefined) checkLimit('times', times, 1);
  if (chance !== undefined) checkShare('chance', chance);
  for (const kind of kinds ?? []) checkOneOf('kinds', kind, OPERATION_KINDS);
}

function usualKinds(fault: Fault): readonly OperationKind[] {
  switch (fault.kind) {
    case 'error':
      return fault.errno === 'ENOSPC' || fault.errno === 'EDQUOT' ? ['write', 'allocate'] : ['read', 'write'];
    case 'failed-sync':
      return ['sync', 'write-back'];
    case 'lost-write':
    case 'misdirected-write':
      return ['write'];
    case 'misdirected-read':
    case 'bit-rot':
      return ['read'];
  }
}
