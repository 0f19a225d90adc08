/**
 * Work on the store as a whole is done by the thread that opened it. Engines of other threads ask it, with the same
 * arguments, and get the same progress, results and errors.
 *
 * Must hold: who asks is answered, or told that the store was closed, whatever becomes of the call; nothing here keeps a process alive but a call
 * that is under way.
 */
import { BroadcastChannel } from 'node:worker_threads';
import type { CheckpointResult } from '../contracts/pages.js';
import { type ErrorCode, isPagewrightError, PagewrightError } from '../errors.js';
import { onAbort } from '../on-abort.js';
import type { BackupReport } from './backup.js';
import type { CompactReport } from './compact.js';
import type { VerifyReport } from './verify.js';

/** What can be asked for. Each takes plain data, and options at last. */
export interface OwnerMethods {
  checkpoint(): Promise<CheckpointResult>;
  checkpointAtOnce(): Promise<CheckpointResult>;
  verify(options: CallOptions): Promise<VerifyReport>;
  backup(path: string, options: CallOptions): Promise<BackupReport>;
  compact(options: CallOptions): Promise<CompactReport>;
}

/** Options of which these are no data. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: never) => void) | undefined;
}

type Method = keyof OwnerMethods;

/** An error on its way to another thread. */
interface SentError {
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly details: unknown;
}

type Message =
  | {
      readonly kind: 'call';
      readonly id: string;
      readonly method: Method;
      readonly given: readonly unknown[];
      readonly options: unknown;
      readonly progress: boolean;
    }
  | { readonly kind: 'abort'; readonly id: string }
  | { readonly kind: 'progress'; readonly id: string; readonly progress: unknown }
  | { readonly kind: 'done'; readonly id: string; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: string; readonly error: SentError };

/** In the thread that opened the store: does what others ask for. */
export class OwnerCalls {
  readonly #channel: BroadcastChannel;
  readonly #methods: OwnerMethods;
  readonly #running = new Map<string, AbortController>();
  readonly #answers = new Set<Promise<void>>();

  constructor(name: string, methods: OwnerMethods) {
    this.#methods = methods;
    this.#channel = openChannel(name, (message) => this.#take(message));
  }

  /** What is under way is answered first: call it when nothing begins any more. Idempotent. */
  async close(): Promise<void> {
    while (this.#answers.size > 0) await Promise.all(this.#answers);
    this.#channel.close();
  }

  #take(message: Message): void {
    if (message.kind === 'abort') this.#running.get(message.id)?.abort();
    if (message.kind !== 'call') return;
    const answer = this.#answer(message).finally(() => this.#answers.delete(answer));
    this.#answers.add(answer);
  }

  async #answer({ id, method, given, options, progress }: Message & { kind: 'call' }): Promise<void> {
    const aborting = new AbortController();
    this.#running.set(id, aborting);
    const onProgress = (made: unknown): void => this.#send({ kind: 'progress', id, progress: made });
    const own = { signal: aborting.signal, ...(progress ? { onProgress } : {}) };
    const isObject = typeof options === 'object' && options !== null;
    const asked = isObject ? { ...own, ...options } : (options ?? own);
    try {
      const run = this.#methods[method] as (...arguments_: unknown[]) => Promise<unknown>;
      this.#send({ kind: 'done', id, result: await run(...given, asked) });
    } catch (error) {
      this.#send({ kind: 'failed', id, error: sent(error) });
    } finally {
      this.#running.delete(id);
    }
  }

  #send(message: Message): void {
    this.#channel.postMessage(message);
  }
}

/** A call that waits for its answer. */
interface Waiting {
  settle(message: Message): void;
  /** It is not wanted any more: if the answer is an error, this one is told instead. */
  abort(error: unknown): void;
}

/** In another thread: asks, and waits for the answer. */
export class OwnerAsked {
  readonly #channel: BroadcastChannel;
  readonly #name: string;
  readonly #waiting = new Map<string, Waiting>();
  /** What who asks is told now. */
  #over: PagewrightError | null = null;
  #calls = 0;

  /** `caller` is a name that no other thread asks by. */
  constructor(
    name: string,
    private readonly caller: string,
  ) {
    this.#name = name;
    this.#channel = openChannel(name, (message) => this.#waiting.get(message.id)?.settle(message));
  }

  /**
   * Errors: those of the call in the thread that opened the store, `PW_CLOSED` when that closes it, what {@link close} and {@link abort} are given,
   * `PW_ARGUMENT` for what cannot be posted.
   */
  async ask<Method_ extends Method>(
    method: Method_,
    given: readonly unknown[],
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<OwnerMethods[Method_]>>> {
    if (this.#over !== null) throw this.#over;
    const isObject = typeof options === 'object' && options !== null;
    const { signal, onProgress, ...data } = isObject ? options : ({} as CallOptions);
    const isTold = typeof onProgress === 'function';
    const isHeard = signal instanceof AbortSignal;
    if (isHeard) signal.throwIfAborted();
    // What is not what it should be is refused where all is.
    const wrong = {
      ...(isTold || onProgress === undefined ? {} : { onProgress }),
      ...(isHeard || signal === undefined ? {} : { signal }),
    };
    const id = `${this.caller} ${++this.#calls}`;
    const call: Message = {
      kind: 'call',
      id,
      method,
      given,
      options: isObject ? { ...data, ...wrong } : options,
      progress: isTold,
    };
    return (await this.#wait(id, call, isHeard ? signal : undefined, onProgress)) as Awaited<
      ReturnType<OwnerMethods[Method_]>
    >;
  }

  /** What is under way is not wanted any more. */
  abort(error: PagewrightError): void {
    for (const { abort } of this.#waiting.values()) abort(error);
  }

  /** All who wait are told so, and who asks from now on: nobody answers any more. Idempotent. */
  close(error: PagewrightError): void {
    this.#over ??= error;
    for (const [id, { settle }] of this.#waiting) settle({ kind: 'failed', id, error: sent(error) });
    this.#channel.close();
  }

  #wait(id: string, call: Message, signal?: AbortSignal, onProgress?: (progress: never) => void): Promise<unknown> {
    return new Promise<unknown>((resolve, reject) => {
      let thrown: { readonly error: unknown } | null = null;
      const abort = (error: unknown): void => {
        thrown ??= { error };
        this.#channel.postMessage({ kind: 'abort', id } satisfies Message);
      };
      let stop = (): void => {};
      const settle = (message: Message): void => {
        if (message.kind === 'progress') {
          try {
            if (thrown === null) onProgress?.(message.progress as never);
          } catch (error) {
            abort(error);
          }
          return;
        }
        if (message.kind !== 'done' && message.kind !== 'failed') return;
        this.#waiting.delete(id);
        if (this.#waiting.size === 0) this.#channel.unref();
        stop();
        if (thrown !== null && message.kind === 'failed') reject(thrown.error);
        else if (message.kind === 'failed') reject(received(message.error));
        else resolve(message.result);
      };
      try {
        this.#channel.postMessage(call);
      } catch (error) {
        throw new PagewrightError(
          'PW_ARGUMENT',
          `What was given cannot be posted to the thread that opened the store.`,
          {
            cause: error,
            details: { channel: this.#name },
          },
        );
      }
      this.#waiting.set(id, { settle, abort });
      this.#channel.ref();
      if (signal !== undefined) stop = onAbort(signal, () => abort(signal.reason));
    });
  }
}

function openChannel(name: string, take: (message: Message) => void): BroadcastChannel {
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event) => take((event as { readonly data: Message }).data);
  channel.unref();
  return channel;
}

function sent(error: unknown): SentError {
  if (isPagewrightError(error)) return { code: error.code, message: error.message, details: plain(error.details) };
  return { code: null, message: error instanceof Error ? error.message : String(error), details: {} };
}

function received({ code, message, details }: SentError): Error {
  return code === null
    ? new Error(message)
    : new PagewrightError(code, message, { details: details as Record<string, unknown> });
}

/** What of it can be posted. */
function plain(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(details).filter(([, value]) => {
    try {
      structuredClone(value);
      return true;
    } catch {
      return false;
    }
  });
  return Object.fromEntries(kept);
}
