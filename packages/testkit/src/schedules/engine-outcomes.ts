/** What has come of the operations of an engine round: what was acknowledged, what is void, and what nobody knows. */
import { isPagewrightError } from '@pagewright/core';
import { RegisterHistory, type RegisterWrite } from './register-history.js';

/** A key with a write of it. */
export type KeyedWrite = readonly [string, RegisterWrite];

export class EngineOutcomes {
  readonly history = new RegisterHistory();
  /** Increments that were acknowledged, and those of which nobody knows. */
  readonly increments = new Map<string, { certain: number; uncertain: number }>();
  /** The engine is being closed, or has lost power: operations may fail in ways that say so. */
  end: 'closing' | 'lost' | null = null;

  /** A write of a new value, or of absence. */
  begin(key: string, absent: boolean): KeyedWrite {
    return [key, this.history.beginWrite(key, this.history.nextId(), absent)];
  }

  /** Writes of one transaction, all with the same id. */
  beginTogether(keys: readonly string[], absent: boolean): KeyedWrite[] {
    const id = this.history.nextId();
    return keys.map((key) => [key, this.history.beginWrite(key, id, absent)]);
  }

  async writing(writes: readonly KeyedWrite[], write: () => unknown): Promise<void> {
    try {
      await write();
      this.#acknowledge(writes);
    } catch (error) {
      this.#voidIfSo(writes, error);
      throw error;
    }
  }

  writingNow(writes: readonly KeyedWrite[], write: () => unknown): void {
    try {
      write();
      this.#acknowledge(writes);
    } catch (error) {
      this.#voidIfSo(writes, error);
      throw error;
    }
  }

  /** An increment of a counter is being made: call one of these when it is over. */
  beginIncrement(key: string): { acknowledged(): void; failed(error: unknown): void } {
    const tally = this.increments.get(key) ?? { certain: 0, uncertain: 0 };
    this.increments.set(key, tally);
    tally.uncertain++;
    return {
      acknowledged: () => {
        tally.certain++;
        tally.uncertain--;
      },
      failed: (error) => {
        if (isVoid(error)) tally.uncertain--;
      },
    };
  }

  /** Whether operations may fail so. */
  isExpected(error: unknown): boolean {
    if (!isPagewrightError(error)) return false;
    if (['PW_CONFLICT', 'PW_SNAPSHOT_TOO_OLD', 'PW_INDEX_DROPPED', 'PW_INDEX_UNKNOWN'].includes(error.code))
      return true;
    if (this.end === 'closing') return error.code === 'PW_CLOSED' || error.code === 'PW_TXN_CLOSED';
    return this.end === 'lost' && error.code !== 'PW_INTERNAL' && !error.code.startsWith('PW_CORRUPT');
  }

  #acknowledge(writes: readonly KeyedWrite[]): void {
    const end = this.history.now();
    for (const [, write] of writes) write.end = end;
  }

  #voidIfSo(writes: readonly KeyedWrite[], error: unknown): void {
    if (isVoid(error)) for (const [key, write] of writes) this.history.void(key, write);
  }
}

/** The error says that nothing has happened. */
function isVoid(error: unknown): boolean {
  if (!isPagewrightError(error)) return false;
  return ['PW_CONFLICT', 'PW_SNAPSHOT_TOO_OLD', 'PW_INDEX_DROPPED'].includes(error.code);
}
