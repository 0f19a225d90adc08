/**
 * Puts writes that belong to no transaction into the form and order in which a commit takes them: sorted by number of
 * index and by key, and of several writes of a key only the last.
 */
import { OPERATION_DELETE, OPERATION_PUT, type Target, type Write } from '@pagewright/core';
import type { CommitCheck, TargetedOperation } from './commit-path.js';
import { compareKeys } from './key-text.js';
import { assertNotDropped } from './visibility.js';

const NOTHING: Uint8Array = new Uint8Array(0);

/** They conflict with nobody. */
export const PLAIN_CHECK: CommitCheck = {
  check(operations) {
    for (let i = 0; i < operations.length; i++) assertNotDropped(operations[i]!.target);
  },
};

/** A write as an operation. A single put uses the same one again and again. */
export class PlainOperation implements TargetedOperation {
  kind = 0;
  index = 0;
  key = NOTHING;
  value = NOTHING;
  target!: Target;

  set(write: Write): this {
    this.kind = write.value === null ? OPERATION_DELETE : OPERATION_PUT;
    this.index = write.target.number;
    this.key = write.key;
    this.value = write.value ?? NOTHING;
    this.target = write.target;
    return this;
  }
}

export function operationsOf(writes: readonly Write[]): PlainOperation[] {
  const operations = new Array<PlainOperation>(writes.length);
  let ordered = true;
  for (let i = 0; i < writes.length; i++) {
    const operation = new PlainOperation().set(writes[i]!);
    if (i > 0 && ordered) ordered = compareOperations(operations[i - 1]!, operation) < 0;
    operations[i] = operation;
  }
  if (ordered) return operations;
  operations.sort(compareOperations); // Stable: of equal keys the last write stays last.
  let kept = 0;
  for (let i = 0; i < operations.length; i++) {
    const next = operations[i + 1];
    if (next === undefined || compareOperations(operations[i]!, next) !== 0) operations[kept++] = operations[i]!;
  }
  operations.length = kept;
  return operations;
}

function compareOperations(a: PlainOperation, b: PlainOperation): number {
  return a.index - b.index || compareKeys(a.key, b.key);
}
