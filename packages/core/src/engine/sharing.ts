/**
 * One store, engines in several threads. Each hears of what others change, even while it does nothing; each sees when a thread
 * has ended that held something (M6), or the one that opened the store. What concerns the store as a whole the others ask that one for.
 *
 * Nothing here runs, and nothing is kept, before the engine is shared.
 */
import { randomUUID } from 'node:crypto';
import type { PageStore } from '../contracts/pages.js';
import { isPagewrightError, PagewrightError } from '../errors.js';
import type { EngineHandle } from './engine-handle.js';
import { OwnerAsked, OwnerCalls, type OwnerMethods } from './owner-calls.js';
import { closedError, type EngineState } from './state.js';

/** How often it is looked for threads that have ended. */
const WATCH_MS = 250;

export class Sharing {
  /** By which others ask the thread that opened the store. */
  readonly channel: string;
  /** In another thread: the one that opened the store. */
  readonly owner: OwnerAsked | null = null;
  private calls: OwnerCalls | null = null;
  private watching: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(
    private readonly pages: PageStore,
    private readonly state: EngineState,
    /** In a thread that joined another engine. */
    readonly joined: EngineHandle | null,
    /** Called now and then: a thread that has ended may have left something. */
    private readonly watched: () => void,
  ) {
    this.channel = joined?.channel ?? `pagewright ${randomUUID()}`;
    if (joined !== null) this.owner = new OwnerAsked(joined.channel, String(pages.threads.tag));
  }

  /** Begins to hear of others, and to do what they ask for, if it is for this thread to do. `news` is what is known here so far. Idempotent. */
  begin(methods: OwnerMethods | null, news: number): void {
    if (this.watching !== null || this.stopped) return;
    if (methods !== null) this.calls = new OwnerCalls(this.channel, methods);
    this.watching = setInterval(() => this.watch(), WATCH_MS).unref();
    this.hasSeen(news);
    this.listen();
  }

  /** What this thread does from now on it does knowing of that news. */
  hasSeen(news: number): void {
    const { threads } = this.pages;
    if (this.watching !== null) this.state.memory.hasSeen(threads.slot, threads.tag, news);
  }

  /** Nothing is heard any more, and nobody is answered but those whose calls are under way. Idempotent. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.owner?.close(closedError());
    if (this.watching === null) return;
    clearInterval(this.watching);
    this.state.memory.hasLeft(this.pages.threads.slot);
    await this.calls?.close();
  }

  private listen(): void {
    if (this.stopped) return;
    const { memory } = this.state;
    const { news } = memory;
    this.look();
    void memory.otherNews(news).then(() => this.listen());
  }

  private look(): void {
    try {
      this.state.lookAround();
    } catch (error) {
      this.meet(error);
    }
    // Also where there was no time to learn of anything else: whoever asked, and was not heard, is told.
    if (this.joined !== null && this.state.memory.isClosed) void this.stop();
  }

  private watch(): void {
    const { threads } = this.pages;
    try {
      threads.sweep();
      if (threads.isLost) threads.assertWhole();
      this.watched();
      if (this.joined === null || this.state.memory.isClosed || threads.isPresent(this.joined.owner)) return;
      const message =
        'The thread that opened the store has ended without closing it: nothing can be made durable for good any more. Close the store in all threads, and open it again; nothing that was acknowledged is lost.';
      throw new PagewrightError('PW_THREAD_LOST', message);
    } catch (error) {
      this.meet(error);
    }
  }

  /** Whatever keeps a thread from knowing what others know leaves it nothing to go on with, and nothing to wait for. */
  private meet(error: unknown): void {
    if (!isPagewrightError(error, 'PW_CLOSED')) this.owner?.close(this.state.fail(error));
  }
}
