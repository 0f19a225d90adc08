/** A commit policy at work on a scripted stream, with what it promised and what it did. Every acknowledgement is checked when it happens. */
import assert from 'node:assert/strict';
import {
  type CommitPolicy,
  type CommitPolicyOptions,
  type CommitPolicyType,
  isPagewrightError,
  type LogPosition,
} from '@pagewright/core';
import { ScriptedStream } from './scripted-stream.js';

/** Turns of the event loop after which nothing is under way that does not wait for a timer. */
const TURNS = 8;
/** So long a policy with a timer may take. */
const PATIENCE_MS = 300;

/** With which the suite makes policies: little of everything, so that its few records reach it. */
export const POLICY_OPTIONS: CommitPolicyOptions = { groupWindowMs: 2, groupBytes: 2000, batchBytes: 1000, depth: 3 };

export class CommitSession {
  readonly stream = new ScriptedStream();
  readonly policy: CommitPolicy;
  /** Positions acknowledged by `commit`, in the order in which that happened. */
  readonly acknowledged: LogPosition[] = [];
  readonly rejected: { readonly position: LogPosition; readonly error: unknown }[] = [];
  #calls = 0;
  #lastAcknowledged = 0;
  #waiting = 0;
  #outOfOrder = false;
  #early: LogPosition | null = null;

  constructor(type: CommitPolicyType) {
    this.policy = type.attach(this.stream, POLICY_OPTIONS);
  }

  /** Commits that were neither acknowledged nor rejected. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Appends a record and commits it; with all before it, or by rule T1. */
  commit(position = this.stream.append(), dependsOn?: number): LogPosition {
    this.#waiting++;
    const call = ++this.#calls;
    this.policy.commit(position, dependsOn).then(
      () => {
        this.#waiting--;
        if (!this.stream.isSafe(position, dependsOn)) this.#early ??= position;
        if (dependsOn === undefined) {
          if (call < this.#lastAcknowledged) this.#outOfOrder = true;
          this.#lastAcknowledged = call;
        }
        this.acknowledged.push(position);
      },
      (error) => {
        this.#waiting--;
        this.rejected.push({ position, error });
      },
    );
    return position;
  }

  commitSync(position = this.stream.append()): void {
    this.policy.commitSync(position);
    assert.ok(
      this.stream.durable >= position,
      `commitSync(${position}) returned when ${this.stream.durable} was durable.`,
    );
  }

  /** Waits until a flush is in flight. */
  async flushing(): Promise<void> {
    await this.until(() => this.stream.isFlushing, 'no flush was asked for though a commit waits');
  }

  /** Lets flushes complete until no commit waits. */
  async finish(): Promise<void> {
    await this.drain();
    this.assertSound();
  }

  /** The same, if commits may be acknowledged in any order. */
  async drain(): Promise<void> {
    await this.until(() => {
      if (this.stream.isFlushing) this.stream.complete();
      return this.waiting === 0;
    }, `${this.waiting} commits were not acknowledged though every flush has completed`);
    this.assertSafe();
  }

  /** Lets all happen that does not wait for a flush. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await nextTurn();
    this.assertSound();
  }

  async until(reached: () => boolean, complaint: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (let turn = 0; turn < TURNS || performance.now() < end; turn++) {
      if (reached()) return;
      await nextTurn();
    }
    assert.fail(complaint);
  }

  /** What must hold at every instant. */
  assertSound(): void {
    this.assertSafe();
    assert.equal(this.stream.overlapped, false, 'A flush was asked for while another was in flight.');
    assert.equal(this.#outOfOrder, false, `Commits were acknowledged in the order ${this.acknowledged.join(', ')}.`);
  }

  /** Nothing was acknowledged before it was durable, with what it depends on. */
  assertSafe(): void {
    assert.equal(this.#early, null, `The commit at ${this.#early} was acknowledged before it was durable.`);
  }

  /** Every commit has been rejected with `PW_COMMIT_UNKNOWN`. */
  async assertAllRejected(positions: readonly LogPosition[]): Promise<void> {
    await this.until(() => this.waiting === 0, `${this.waiting} commits still wait after the flush has failed`);
    assert.deepEqual(
      this.rejected.map(({ position }) => position).sort((a, b) => a - b),
      positions,
      'These commits were to be rejected.',
    );
    for (const { error } of this.rejected) assertUnknown(error);
  }
}

/** Throws unless the error says that the fate of the commit is not known. */
export function assertUnknown(error: unknown): void {
  assert.ok(
    isPagewrightError(error, 'PW_COMMIT_UNKNOWN'),
    `It failed with ${String(error)}, and not with PW_COMMIT_UNKNOWN.`,
  );
}

/** Lets pass one turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
