/**
 * Who depends on whom: for each two versions of a key that follow each other, and each read of one, the dependencies ww, wr and rw. Where several versions
 * follow the same one, an update was lost, and is reported as such; which of them was first nobody can tell, so nothing is said of that.
 */
import type { Findings } from './findings.js';
import type { Observations } from './observations.js';
import type { Steps } from './steps.js';
import type { RecordedTransaction } from './transaction-history.js';
import { deedText } from './wording.js';
import { NONE, type WriteIndex } from './write-index.js';

/** Kinds of dependencies. */
export const WW = 0;
export const WR = 1;
export const RW = 2;
/** An anti-dependency by a predicate. */
export const PREDICATE_RW = 3;

const KIND_NAMES = ['ww', 'wr', 'rw', 'rw by a predicate'];
/** Of several versions that follow the same one, so many are told to who has read that one: where more were lost, that is known anyway. */
const MOST_FOLLOWERS = 4;

export class Dependencies {
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly kind: number[] = [];
  /** Of each: the operation of one that the other depends on, and that of the other. */
  readonly #fromOperation: number[] = [];
  readonly #toOperation: number[] = [];
  readonly #key: number[] = [];
  /** Of each write: the version that it belongs to, or else the one below it; NONE: not looked for yet. */
  readonly #version: Int32Array;
  /** The versions that follow a version, as a linked list. */
  readonly #firstFollower: Int32Array;
  readonly #nextFollower: Int32Array;

  constructor(
    private readonly writes: WriteIndex,
    private readonly observations: Observations,
    private readonly findings: Findings,
    private readonly steps: Steps,
  ) {
    const count = writes.transaction.length;
    this.#version = new Int32Array(count).fill(NONE);
    this.#firstFollower = new Int32Array(count).fill(NONE);
    this.#nextFollower = new Int32Array(count).fill(NONE);
    for (let write = count - 1; write >= writes.keys.length; write--) if (writes.isVersion(write)) this.#follow(write);
    for (let version = 0; version < count; version++) this.#findLostUpdates(version);
    for (let read = 0; read < observations.reader.length; read++) this.#dependOnRead(read);
  }

  /** `T1.3 reads key 5 as [1.1:0] (operation 2 of 4), and T2.1 writes key 5 as … : rw`. */
  text(dependency: number): string {
    const [first, second] = [this.from[dependency] as number, this.to[dependency] as number].map(
      (transaction) => this.writes.transactions[transaction] as RecordedTransaction,
    ) as [RecordedTransaction, RecordedTransaction];
    const key = this.writes.keys[this.#key[dependency] as number] as number;
    const before = deedText(first, this.#fromOperation[dependency] as number, key);
    const after = deedText(second, this.#toOperation[dependency] as number, key);
    return `${before}; ${after}: ${KIND_NAMES[this.kind[dependency] as number]}`;
  }

  /** A version comes after the one that its transaction has found. */
  #follow(write: number): void {
    const { writes } = this;
    const transaction = writes.transaction[write] as number;
    let below = this.observations.base[write] as number;
    while (writes.transaction[below] === transaction) {
      this.steps.count++;
      below = this.observations.base[below] as number;
    }
    const before = this.#versionOf(below);
    // Only if a list was not what any transaction has written.
    if (writes.transaction[before] === transaction) return;
    this.#nextFollower[write] = this.#firstFollower[before] as number;
    this.#firstFollower[before] = write;
    if (!writes.isRoot(before)) this.#add(WW, before, write);
  }

  /** The version that who sees this write has seen. */
  #versionOf(write: number): number {
    const { writes, steps } = this;
    const passed: number[] = [];
    let version = write;
    while (!writes.isVersion(version) && this.#version[version] === NONE) {
      steps.count++;
      passed.push(version);
      const left = writes.left[version] as number;
      version = left !== version && writes.isVersion(left) ? left : (this.observations.base[version] as number);
    }
    if (this.#version[version] !== NONE) version = this.#version[version] as number;
    for (const one of passed) this.#version[one] = version;
    return version;
  }

  #findLostUpdates(version: number): void {
    const { writes } = this;
    let follower = this.#firstFollower[version] as number;
    if (follower === NONE) return;
    const first = follower;
    for (follower = this.#nextFollower[first] as number; follower !== NONE; ) {
      this.steps.count++;
      const other = follower;
      const [one, two] = [first, other].map(
        (write) => writes.transactions[writes.transaction[write] as number] as RecordedTransaction,
      ) as [RecordedTransaction, RecordedTransaction];
      this.findings.add('lost-update', [one.id, two.id], () => [
        `${deedText(one, writes.operation[first] as number)}; ${deedText(two, writes.operation[other] as number)}: both have read what was there before, rw and ww`,
      ]);
      follower = this.#nextFollower[other] as number;
    }
  }

  #dependOnRead(read: number): void {
    const { writes, observations } = this;
    const reader = observations.reader[read] as number;
    const operation = observations.operation[read] as number;
    const version = this.#versionOf(observations.source[read] as number);
    if (!writes.isRoot(version) && writes.transaction[version] !== reader)
      this.#push(
        WR,
        writes.transaction[version] as number,
        writes.operation[version] as number,
        reader,
        operation,
        writes.key[version] as number,
      );
    const followers: number[] = [];
    let follower = this.#firstFollower[version] as number;
    for (; follower !== NONE && followers.length < MOST_FOLLOWERS; follower = this.#nextFollower[follower] as number) {
      this.steps.count++;
      // What it replaced itself it has read last: whoever did so too is in a lost update.
      if (writes.transaction[follower] === reader) return;
      followers.push(follower);
    }
    const kind = observations.byPredicate[read] === true && writes.isRoot(version) ? PREDICATE_RW : RW;
    for (const next of followers)
      this.#push(
        kind,
        reader,
        operation,
        writes.transaction[next] as number,
        writes.operation[next] as number,
        writes.key[next] as number,
      );
  }

  #add(kind: number, before: number, after: number): void {
    const { transaction, operation, key } = this.writes;
    this.#push(
      kind,
      transaction[before] as number,
      operation[before] as number,
      transaction[after] as number,
      operation[after] as number,
      key[after] as number,
    );
  }

  #push(kind: number, from: number, fromOperation: number, to: number, toOperation: number, key: number): void {
    this.steps.count++;
    this.kind.push(kind);
    this.from.push(from);
    this.to.push(to);
    this.#fromOperation.push(fromOperation);
    this.#toOperation.push(toOperation);
    this.#key.push(key);
  }
}
