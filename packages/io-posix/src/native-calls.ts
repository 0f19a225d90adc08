/** The calls of an open file by the addon: on threads of its own, a batch by one hand-over, with what Linux has beyond `node:fs`. */
import { getSystemErrorName } from 'node:util';
import type { IoOperation } from '@pagewright/core/contracts';
import { type Attempt, endOfFile, faultOf, isTransient, noProgress } from './fault.js';
import { type Done, type FileCalls, NotDurable } from './file-calls.js';
import type { KernelLocks } from './kernel-locks.js';
import type { FileArguments } from './native.js';
import { END_OF_FILE, type NativeThread, NO_PROGRESS, NO_SUCH_CALL, type Outcome, STAGE } from './native-thread.js';
import { NodeCalls } from './node-calls.js';
import { closeDescriptor } from './opening.js';
import type { Target } from './transfer.js';

/** How a file is reached past the page cache. */
export interface DirectWay {
  readonly fd: number;
  /** What addresses in memory are multiples of, in bytes. */
  readonly memoryAlignment: number;
  /** What offsets and lengths are multiples of, in bytes. */
  readonly offsetAlignment: number;
  /** Whether reads go this way as well as writes. */
  readonly reads: boolean;
}

/** What follows when all transfers went well, as the addon numbers it. */
const FINISH = { nothing: 0, sync: 1, truncate: 2, reserve: 3, extend: 4, writeBack: 5 } as const;

/** What was being done, by number of stage. */
const OPERATIONS = ['read', 'write', 'sync', 'truncate', 'allocate', 'write', 'write back'] as const;

/** What fails in these may be lost. */
const MAKING_DURABLE: ReadonlySet<number> = new Set([STAGE.sync, STAGE.durableWrite, STAGE.writeBack]);

/** Larger reads are copied by other threads, even if the system has them in memory. In bytes. */
const MOST_AT_ONCE = 1 << 16;

export class NativeCalls implements FileCalls {
  readonly fd: number;
  readonly path: string;
  readonly direct: DirectWay | null;
  readonly kernelLocks: KernelLocks;
  readonly #thread: NativeThread;
  readonly #depth: number;
  readonly #file: FileArguments;
  /** What the addon leaves to `node:fs`. */
  readonly #node: NodeCalls;

  /** `depth` transfers of a batch are in flight at a time. Closes both descriptors in the end. */
  constructor(target: Target, thread: NativeThread, { depth, direct }: { depth: number; direct: DirectWay | null }) {
    this.fd = target.fd;
    this.path = target.path;
    this.direct = direct;
    this.kernelLocks = thread.addon;
    this.#thread = thread;
    this.#depth = depth;
    this.#file =
      direct === null
        ? [target.fd, -1, 1, 1, false]
        : [target.fd, direct.fd, direct.memoryAlignment, direct.offsetAlignment, direct.reads];
    this.#node = new NodeCalls(target, 1);
  }

  size(): number {
    const size = this.#thread.addon.size(this.fd);
    if (size < 0) throw faultOf(systemError(-size, 'measure'), { operation: 'measure', path: this.path });
    return size;
  }

  transfer({ kind, buffer, offset }: IoOperation, done: Done): void {
    const isRead = kind === 'read';
    if (isRead && this.direct?.reads !== true && buffer.length <= MOST_AT_ONCE) {
      if (this.#thread.readAtOnce(this.fd, buffer, offset)) {
        done(null);
        return;
      }
    }
    this.#thread.start(buffer, this.#reporting(done), (id) =>
      this.#thread.addon.transfer(id, ...this.#file, !isRead, buffer, offset),
    );
  }

  transferSync({ kind, buffer, offset }: IoOperation): void {
    this.#expect(this.#thread.addon.transferSync(...this.#file, kind === 'write', buffer, offset));
  }

  submit(operations: readonly IoOperation[], sync: boolean, done: Done): void {
    if (!sync && operations.length === 1 && operations[0]!.buffer.length > 0) {
      this.transfer(operations[0]!, done);
      return;
    }
    const [places, buffers] = packed(operations);
    const finish = sync ? FINISH.sync : FINISH.nothing;
    this.#thread.start(buffers, this.#reporting(done), (id) =>
      this.#thread.addon.submit(id, ...this.#file, finish, this.#depth, places, buffers),
    );
  }

  submitSync(operations: readonly IoOperation[], sync: boolean): void {
    const [places, buffers] = packed(operations);
    const finish = sync ? FINISH.sync : FINISH.nothing;
    this.#expect(this.#thread.addon.submitSync(...this.#file, finish, this.#depth, places, buffers));
  }

  sync(done: Done): void {
    this.#finish(FINISH.sync, 0, 0, done);
  }

  syncSync(): void {
    this.#expect(this.#thread.addon.finishSync(...this.#file, FINISH.sync, 0, 0));
  }

  writeBack(offset: number, length: number, done: (error: unknown, isDone: boolean) => void): void {
    this.#thread.start(
      null,
      (outcome) => {
        if (outcome === null) done(null, true);
        else if (outcome.error === NO_SUCH_CALL) done(null, false);
        else done(this.#faultOf(outcome), false);
      },
      (id) => this.#thread.addon.finish(id, ...this.#file, FINISH.writeBack, offset, length),
    );
  }

  truncate(size: number, done: Done): void {
    this.#finish(FINISH.truncate, size, 0, done);
  }

  truncateSync(size: number): void {
    this.#expect(this.#thread.addon.finishSync(...this.#file, FINISH.truncate, size, 0));
  }

  /**
   * Reserves what is asked for, then writes the zeros: a write into blocks that were never written costs a commit of the file system's journal. What the file
   * system would not extend is extended with zeros.
   */
  allocate(offset: number, length: number, writeZeros: boolean, done: Done): void {
    this.#finish(writeZeros ? FINISH.reserve : FINISH.extend, offset, length, (error) => {
      if (error) done(error);
      else this.#node.allocate(offset, length, writeZeros, done);
    });
  }

  allocateSync(offset: number, length: number, writeZeros: boolean): void {
    const finish = writeZeros ? FINISH.reserve : FINISH.extend;
    this.#expect(this.#thread.addon.finishSync(...this.#file, finish, offset, length));
    this.#node.allocateSync(offset, length, writeZeros);
  }

  close(done: Done): void {
    const failure = this.direct && closeDescriptor({ fd: this.direct.fd, path: this.path });
    this.#node.close((error) => done(failure ?? error));
  }

  #finish(finish: number, offset: number, length: number, done: Done): void {
    this.#thread.start(null, this.#reporting(done), (id) =>
      this.#thread.addon.finish(id, ...this.#file, finish, offset, length),
    );
  }

  #reporting(done: Done): (outcome: Outcome | null) => void {
    return (outcome) => done(outcome && this.#faultOf(outcome));
  }

  #expect(isWhole: boolean): void {
    if (!isWhole) throw this.#faultOf(this.#thread.status());
  }

  #faultOf({ error, stage, offset }: Outcome): unknown {
    const operation = OPERATIONS[stage] as string;
    const attempt: Attempt = { operation, path: this.path, ...(stage === STAGE.sync ? {} : { offset }) };
    if (error === END_OF_FILE) return endOfFile(this.path, offset);
    if (error === NO_PROGRESS) return noProgress(attempt);
    const cause = systemError(error, operation);
    const fault = isTransient(cause) ? noProgress(attempt, cause) : faultOf(cause, attempt);
    return MAKING_DURABLE.has(stage) ? new NotDurable(fault) : fault;
  }
}

/** Offsets and kinds as one array, buffers as another. */
function packed(operations: readonly IoOperation[]): [Float64Array, Uint8Array[]] {
  const places = new Float64Array(2 * operations.length);
  const buffers = new Array<Uint8Array>(operations.length);
  for (let at = 0; at < operations.length; at++) {
    const { kind, offset, buffer } = operations[at]!;
    places[2 * at] = offset;
    places[2 * at + 1] = kind === 'write' ? 1 : 0;
    buffers[at] = buffer;
  }
  return [places, buffers];
}

/** What `node:fs` would have thrown. */
function systemError(errno: number, operation: string): NodeJS.ErrnoException {
  const name = getSystemErrorName(-errno);
  const code = /^[A-Z0-9]+$/.test(name) ? name : 'UNKNOWN';
  return Object.assign(new Error(`${code}: ${operation} failed`), { code, errno: -errno });
}
