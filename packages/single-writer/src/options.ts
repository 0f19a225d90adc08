/** What can be chosen of turns, and how it is checked. */
import { PagewrightError } from '@pagewright/core';
import type { MvccOptions } from '@pagewright/mvcc';

/** How long writers wait for one and the same transaction to end, in milliseconds. */
export interface WaitOptions {
  /** Of those who do not block their thread. Default: 10,000. */
  readonly waitMs?: number;
  /** Of those who do: for a transaction of another thread. Default: 1000. */
  readonly waitSyncMs?: number;
}

/** Of the plugin: versions and records are those of `@pagewright/mvcc`. Transactions that write are serializable in any case. */
export type SingleWriterOptions = WaitOptions &
  Pick<MvccOptions, 'versionMemory' | 'maxTransactionBytes' | 'dependsOn'>;

export const WAITS = ['waitMs', 'waitSyncMs'] as const;

/** What a timer takes. */
const MOST_MS = 2 ** 31 - 1;

/** What is wrong with one; null if nothing is. */
export function waitProblem(option: (typeof WAITS)[number], value: unknown): string | null {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_MS) return null;
  return `${option} is ${String(value)}; it is a whole number of milliseconds, from 0 to ${MOST_MS}.`;
}

/** Errors: `PW_OPTION_INVALID`. */
export function checkWaits(options: WaitOptions): Required<WaitOptions> {
  const unknown = Object.keys(options).find((name) => !WAITS.some((known) => known === name));
  if (unknown !== undefined) {
    throw new PagewrightError('PW_OPTION_INVALID', `There is no option ${unknown}. There are: ${WAITS.join(', ')}.`, {
      details: { option: unknown },
    });
  }
  for (const option of WAITS) {
    const value = options[option];
    const message = value === undefined ? null : waitProblem(option, value);
    if (message !== null) throw new PagewrightError('PW_OPTION_INVALID', message, { details: { option } });
  }
  return { waitMs: options.waitMs ?? 10_000, waitSyncMs: options.waitSyncMs ?? 1000 };
}
