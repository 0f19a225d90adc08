/**
 * The ring of one thread, from the side of JavaScript. A call becomes a job: commands in a shared array, a token that names it, and what is to be called when it is over.
 * The kernel gets the first job of a turn at once, and those that come until the next microtask together.
 *
 * The buffers of a job are held from here until its outcome is known: the native part has nothing but their addresses.
 */
import { type Addon, loadAddon, type NativeRing, type RingFigures } from './addon.js';
import { noRing, reasonOf } from './no-ring.js';
import type { CheckedOptions } from './options.js';

import { errnoName } from './system-errors.js';

/** What a command asks for. */
export const READ = 0;
export const WRITE = 1;
export const SYNC = 2;
export const TRUNCATE = 3;
/** Blocks alone. */
export const RESERVE = 4;
/** Blocks, and the file is long enough for them. */
export const EXTEND = 5;
/** What was written in a range goes to the device. */
export const WRITE_BACK = 6;
/** Nothing, unless that cannot be done. */
export const TRY_WRITE_BACK = 7;

/** More memory of the same transfer follows. */
export const MORE = 1;
/** The last command of its job. */
export const LAST = 2;
/** The job is durable when it is over. */
export const DURABLE = 4;

/** How a job ended: zero or an errno (or one of those below); the command of the job that failed, -1 if it was the sync or a write that was to be durable; where in the file. */
export type Ended = (errno: number, index: number, offset: number) => void;

/** No errno: a read found the end of the file; a write was taken again and again, and moved nothing. */
export const END_OF_FILE = 10_000;
export const NO_PROGRESS = 10_001;
/** From here on an errno of the ring itself, which the kernel takes nothing from any more. */
export const RING_FAILED = 20_000;

const COMMAND_WIDTH = 8;
const RESULT_WIDTH = 4;
const RESULTS = 256;
const LEAST_COMMANDS = 256;
/** An array for more is not kept: the next batch of a million is far away. 1 MiB. */
const MOST_KEPT_COMMANDS = 16_384;

/** Shared buffers from this size on are known by a number; smaller ones come and go. In bytes. */
const LEAST_KNOWN_BYTES = 1 << 16;

/** Times that outcomes may be told in a microtask before the event loop has its turn, after which it may be as many again: else a loop of reads from the page cache would keep everything else from running. */
const MOST_AT_ONCE = 32;

/** The token of what is waited for in place. */
const WAITED = 0;

export class ThreadRing {
  /** Operations that are needed, and that the kernel does not have. */
  readonly missing: readonly string[];
  readonly #ring: NativeRing;
  readonly #registers: boolean;
  #commands = numbers(LEAST_COMMANDS * COMMAND_WIDTH);
  /** The last place is that of what is waited for. */
  readonly #results = numbers((RESULTS + 1) * RESULT_WIDTH);
  /** Commands that the native part has not taken. */
  #count = 0;
  /** Memory of these commands that has no number. */
  #lent: Uint8Array[] = [];
  /** Buffers of the commands of the next job. */
  #used: Uint8Array[] = [];
  /** The buffers of each job, and what is called when it is over, by token. */
  readonly #held: (readonly Uint8Array[] | null)[] = [null];
  readonly #ended: (Ended | null)[] = [null];
  readonly #freeTokens: number[] = [];
  #isScheduled = false;
  #atOnce = MOST_AT_ONCE;
  /** Large shared buffers by their numbers. A number is given back when its buffer is gone. */
  readonly #known = new WeakMap<ArrayBufferLike, number>();
  readonly #gone: FinalizationRegistry<number>;
  /** Errnos of those that could not be registered, by their numbers. */
  readonly #unregistered = new Map<number, number>();

  /** @throws an error with an errno as `code` if the kernel gives no ring */
  constructor(addon: Addon, options: CheckedOptions) {
    this.#registers = options.registerBuffers;
    this.#ring = new addon.Ring(options, this.#held, this.#commands, this.#results, (told) =>
      this.#deliverInTurn(told),
    );
    this.missing = this.#ring.missing();
    this.#gone = new FinalizationRegistry((memory) => {
      this.#unregistered.delete(memory);
      this.#ring.removeMemory(memory);
    });
  }

  get figures(): RingFigures {
    return this.#ring.figures();
  }

  /** Why buffers that are there are not registered though it was asked for: the errno of one of them; zero if all are. */
  get registrationErrno(): number {
    for (const errno of this.#unregistered.values()) return errno;
    return 0;
  }

  /** @see NativeRing.failure */
  get failure(): number {
    return this.#ring.failure();
  }

  /** @see NativeRing.addFile */
  addFile(fd: number, direct: number, alignment: number, directReads: boolean): number {
    return this.#ring.addFile(fd, direct, alignment, directReads);
  }

  removeFile(file: number): void {
    this.#ring.removeFile(file);
  }

  isRegistered(file: number): boolean {
    return this.#ring.isRegistered(file);
  }

  /** A command of the next job. `length` is that of the buffer if there is one. Numbers are whole and not negative. */
  command(kind: number, file: number, buffer: Uint8Array | null, length: number, offset: number): void {
    if ((this.#count + 1) * COMMAND_WIDTH > this.#commands.length) this.#grow();
    const commands = this.#commands;
    const at = this.#count++ * COMMAND_WIDTH;
    commands[at] = kind;
    commands[at + 1] = file;
    if (buffer !== null) {
      this.#used.push(buffer);
      const memory = this.#memoryOf(buffer.buffer);
      commands[at + 2] = memory ?? -this.#lent.push(buffer);
      commands[at + 3] = memory === undefined ? 0 : buffer.byteOffset;
    }
    commands[at + 4] = length;
    commands[at + 5] = offset;
    commands[at + 7] = 0;
  }

  /** The last command and the next are one transfer, whose places in the file follow one another. */
  joinNext(): void {
    this.#commands[(this.#count - 1) * COMMAND_WIDTH + 7] = MORE;
  }

  /** Makes a job of the commands since the last one. `ended` is called later, from the event loop or a microtask; until then their buffers are held. */
  begin(durable: boolean, ended: Ended): void {
    const token = this.#freeTokens.pop() ?? this.#ended.length;
    this.#held[token] = this.#used;
    this.#used = [];
    this.#ended[token] = ended;
    this.#close(token, durable);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#hand();
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#hand() === 0) return;
      if (this.#atOnce === 0) {
        setImmediate(() => this.#deliverInTurn(this.#ring.collect()));
        return;
      }
      this.#atOnce--;
      this.#deliver(this.#ring.collect());
    });
  }

  /** Makes a job of the commands since the last one, and returns when it is over. */
  wait(durable: boolean, ended: Ended): void {
    this.#held[WAITED] = this.#used;
    this.#used = [];
    this.#close(WAITED, durable);
    const count = this.#count;
    const lent = this.#takeLent();
    this.#ring.wait(count, lent);
    if (this.#commands.length > MOST_KEPT_COMMANDS * COMMAND_WIDTH) this.#letGo();
    this.#held[WAITED] = null;
    const at = RESULTS * RESULT_WIDTH;
    ended(this.#results[at + 1]!, this.#results[at + 2]!, this.#results[at + 3]!);
  }

  #close(token: number, durable: boolean): void {
    const at = (this.#count - 1) * COMMAND_WIDTH;
    this.#commands[at + 6] = token;
    this.#commands[at + 7] = durable ? LAST | DURABLE : LAST;
  }

  /** Returns how many jobs are over. */
  #hand(): number {
    const count = this.#count;
    const over = this.#ring.submit(count, this.#takeLent());
    if (this.#commands.length > MOST_KEPT_COMMANDS * COMMAND_WIDTH) this.#letGo();
    return over;
  }

  #takeLent(): readonly Uint8Array[] | undefined {
    this.#count = 0;
    if (this.#lent.length === 0) return undefined;
    const lent = this.#lent;
    this.#lent = [];
    return lent;
  }

  /** From the event loop, which has gone round: also of timers, and of what else is watched, some had their turn. */
  #deliverInTurn(told: number): void {
    this.#atOnce = MOST_AT_ONCE;
    this.#deliver(told);
  }

  #deliver(told: number): void {
    const results = this.#results;
    for (let left = told; left > 0; left = left === RESULTS ? this.#ring.collect() : 0) {
      for (let at = 0; at < left * RESULT_WIDTH; at += RESULT_WIDTH) {
        const token = results[at]!;
        const ended = this.#ended[token]!;
        this.#ended[token] = null;
        this.#held[token] = null;
        this.#freeTokens.push(token);
        ended(results[at + 1]!, results[at + 2]!, results[at + 3]!);
      }
    }
  }

  /** The number of a large shared buffer; a small or private one has none, for it is likely not to come again. */
  #memoryOf(buffer: ArrayBufferLike): number | undefined {
    const known = this.#known.get(buffer);
    if (known !== undefined) return known;
    if (buffer.byteLength < LEAST_KNOWN_BYTES || !(buffer instanceof SharedArrayBuffer) || isGrowable(buffer)) {
      return undefined;
    }
    const memory = this.#ring.addMemory(new Uint8Array(buffer));
    this.#known.set(buffer, memory);
    this.#gone.register(buffer, memory);
    const errno = this.#registers ? this.#ring.registerMemory(memory) : 0;
    if (errno !== 0) this.#unregistered.set(memory, errno);
    return memory;
  }

  #grow(): void {
    const larger = numbers(2 * this.#commands.length);
    larger.set(this.#commands);
    this.#ring.setCommands(larger);
    this.#commands = larger;
  }

  /** Of commands that were taken: none is in the array. */
  #letGo(): void {
    this.#commands = numbers(LEAST_COMMANDS * COMMAND_WIDTH);
    this.#ring.setCommands(this.#commands);
  }
}

/** On shared memory, which stays where it is. */
function numbers(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
}

/** Its length may change: its number would stand for the length that it had. */
function isGrowable(buffer: SharedArrayBuffer): boolean {
  return (buffer as { readonly growable?: boolean }).growable === true;
}

const rings = new Map<string, ThreadRing>();

/**
 * The ring of this thread for those of these options that concern a ring; made when first asked for, and there until the thread ends: one that was let go would count against limits for a while beside the next.
 * @throws PW_UNSUPPORTED, with the `reason`, if the kernel gives none that has all operations
 */
export function ringOfThread(options: CheckedOptions): ThreadRing {
  const { depth, kernelThreadIdleMs, registerBuffers, addon } = options;
  const key = JSON.stringify([depth, kernelThreadIdleMs, registerBuffers, addon]);
  let ring = rings.get(key);
  if (ring === undefined) {
    ring = makeRing(options);
    rings.set(key, ring);
  }
  const { failure } = ring;
  if (failure !== 0) throw noRing(reasonOf(errnoName(failure), 'io_uring_enter', options), errnoName(failure));
  if (ring.missing.length === 0) return ring;
  throw noRing(`the kernel is too old: its io_uring lacks ${ring.missing.join(', ')} (Linux 5.6 has all)`);
}

function makeRing(options: CheckedOptions): ThreadRing {
  const loaded = loadAddon(options.addon);
  if (loaded.addon === null) throw noRing(loaded.reason);
  try {
    return new ThreadRing(loaded.addon, options);
  } catch (error) {
    const errno = errnoName(Number((error as { code?: unknown }).code));
    throw noRing(reasonOf(errno, (error as Error).message, options), errno);
  }
}
