/** The calls of an open file by `node:fs`: what every system has. */
import fs from 'node:fs';
import type { IoOperation, PagewrightError } from '@pagewright/core/contracts';
import { openDurableWrites } from './durable-writes.js';
import { faultOf } from './fault.js';
import { type Done, type FileCalls, NotDurable } from './file-calls.js';
import { closeDescriptor } from './opening.js';
import { joinNeighbours, run, runSync } from './submission.js';
import { type Target, type Transfer, transfer, transferSync } from './transfer.js';
import { zeroFill, zeroFillSync } from './zero-fill.js';

export class NodeCalls implements FileCalls {
  readonly fd: number;
  readonly path: string;
  readonly #depth: number;
  /** Whose writes are durable when they are over; null where there is none. */
  #durable: Target | null | undefined;
  /** Tail of the queue of allocations: two at once would both extend the file. */
  #allocations: Promise<void> = Promise.resolve();

  /** `depth` transfers of a batch are in flight at a time. */
  constructor({ fd, path }: Target, depth: number) {
    this.fd = fd;
    this.path = path;
    this.#depth = depth;
  }

  size(): number {
    try {
      return fs.fstatSync(this.fd).size;
    } catch (error) {
      throw faultOf(error, { operation: 'measure', path: this.path });
    }
  }

  transfer({ kind, offset, buffer }: IoOperation, done: Done): void {
    transfer(this, { kind, offset, buffers: [buffer] }, done);
  }

  transferSync({ kind, offset, buffer }: IoOperation): void {
    transferSync(this, { kind, offset, buffers: [buffer] });
  }

  submit(operations: readonly IoOperation[], sync: boolean, done: Done): void {
    const transfers = joinNeighbours(operations);
    const durable = sync ? this.#durableFor(transfers) : null;
    if (durable !== null) {
      transfer(durable, transfers[0]!, (error) => done(error && this.#notDurable(error)));
      return;
    }
    run(this, transfers, this.#depth, (error) => {
      if (error !== null || !sync) done(error);
      else this.sync(done);
    });
  }

  submitSync(operations: readonly IoOperation[], sync: boolean): void {
    const transfers = joinNeighbours(operations);
    const durable = sync ? this.#durableFor(transfers) : null;
    if (durable === null) {
      runSync(this, transfers);
      if (sync) this.syncSync();
      return;
    }
    try {
      transferSync(durable, transfers[0]!);
    } catch (error) {
      throw this.#notDurable(error);
    }
  }

  sync(done: Done): void {
    fs.fdatasync(this.fd, (error) => done(error && this.#notDurable(error)));
  }

  syncSync(): void {
    try {
      fs.fdatasyncSync(this.fd);
    } catch (error) {
      throw this.#notDurable(error);
    }
  }

  truncate(size: number, done: Done): void {
    fs.ftruncate(this.fd, size, (error) => done(error && this.#truncateFailed(error, size)));
  }

  truncateSync(size: number): void {
    try {
      fs.ftruncateSync(this.fd, size);
    } catch (error) {
      throw this.#truncateFailed(error, size);
    }
  }

  /** With zeros, always: `node:fs` has no other way to blocks. */
  allocate(offset: number, length: number, _writeZeros: boolean, done: Done): void {
    const filled = this.#allocations.then(() => zeroFill(this, offset + length));
    this.#allocations = filled.catch(() => {});
    filled.then(() => done(null), done);
  }

  allocateSync(offset: number, length: number, _writeZeros: boolean): void {
    zeroFillSync(this, offset + length);
  }

  close(done: Done): void {
    fs.close(this.fd, (error) => {
      const failure = this.#durable ? closeDescriptor(this.#durable) : null;
      done(error ? faultOf(error, { operation: 'close', path: this.path }) : failure);
    });
  }

  /** By what one write alone is durable as soon as it is over, if the system has that: one call instead of two. */
  #durableFor(transfers: readonly Transfer[]): Target | null {
    if (transfers.length !== 1 || transfers[0]!.kind !== 'write') return null;
    if (this.#durable === undefined) this.#durable = openDurableWrites(this);
    return this.#durable;
  }

  #notDurable(error: unknown): NotDurable {
    return new NotDurable(faultOf(error, { operation: 'sync', path: this.path }));
  }

  #truncateFailed(error: unknown, size: number): PagewrightError {
    return faultOf(error, { operation: 'truncate', path: this.path, offset: size });
  }
}
