/**
 * A batch of transfers as few system calls: neighbours in the file are joined into one vectored call, and a few calls are
 * in flight at a time. When a batch is over, well or badly, none of its buffers is in use any more.
 */
import type { IoOperation } from '@pagewright/core/contracts';
import { type Done, type Target, type Transfer, transfer, transferSync } from './transfer.js';

/** A vectored call takes at most as many buffers as the system's IOV_MAX, which is 1,024 where it is not unlimited. */
const MOST_BUFFERS = 1024;

/** Joined calls stay below this, so that a large batch still has several of them in flight. */
const MOST_JOINED_BYTES = 1 << 20;

/** The transfers of a batch in the order of the file, neighbours joined. Empty ones are left out. */
export function joinNeighbours(operations: readonly IoOperation[]): Transfer[] {
  const ordered = operations.filter((operation) => operation.buffer.length > 0);
  ordered.sort((a, b) => (a.kind === b.kind ? a.offset - b.offset : a.kind === 'read' ? -1 : 1));

  const joined: { kind: 'read' | 'write'; offset: number; buffers: Uint8Array[]; end: number }[] = [];
  for (const { kind, offset, buffer } of ordered) {
    const last = joined.at(-1);
    if (
      last !== undefined &&
      last.kind === kind &&
      last.end === offset &&
      last.buffers.length < MOST_BUFFERS &&
      last.end - last.offset + buffer.length <= MOST_JOINED_BYTES
    ) {
      last.buffers.push(buffer);
      last.end += buffer.length;
    } else {
      joined.push({ kind, offset, buffers: [buffer], end: offset + buffer.length });
    }
  }
  return joined;
}

/** Runs the transfers one after another. */
export function runSync(target: Target, transfers: readonly Transfer[]): void {
  for (const each of transfers) transferSync(target, each);
}

/**
 * Runs the transfers, at most `depth` at a time. After the first error no further one is begun; `done` gets that error
 * when those in flight have ended.
 */
export function run(target: Target, transfers: readonly Transfer[], depth: number, done: Done): void {
  let begun = 0;
  let inFlight = 0;
  let failure: unknown = null;

  const ended = (error: unknown): void => {
    inFlight--;
    failure ??= error;
    proceed();
  };
  const proceed = (): void => {
    while (failure === null && begun < transfers.length && inFlight < depth) {
      inFlight++;
      transfer(target, transfers[begun++]!, ended);
    }
    if (inFlight === 0) done(failure);
  };
  proceed();
}
