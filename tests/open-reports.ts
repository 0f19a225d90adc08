/** What is told of something that stays open for long: on its channel, and as a warning of the process. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Engine, IndexHandle, OpenOptions } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, beforeEach, vi } from 'vitest';
import { engineOn } from './engine-on.js';

export interface Told<Report> {
  readonly reports: Report[];
  readonly warnings: { message: string; code: string; detail: string }[];
}

/** Notes what is told in each test of the file, and lets time pass as it is in the end. */
export function listenTo<Report>(channel: string): Told<Report> {
  const told: Told<Report> = { reports: [], warnings: [] };
  const note = (report: unknown): void => void told.reports.push(report as Report);
  beforeEach(() => {
    told.reports.length = told.warnings.length = 0;
    vi.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
      told.warnings.push({ message: String(message), ...(options as { code: string; detail: string }) });
    });
    subscribe(channel, note);
  });
  afterEach(() => {
    unsubscribe(channel, note);
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
  return told;
}

/** From now on time passes when the test says so. */
export function stopClock(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
}

/** A store with an entry, and the clock stopped. */
export async function opened(opening: OpenOptions = {}): Promise<{ db: Engine; index: IndexHandle<string, string> }> {
  const db = await engineOn(new SimulatedDevice(), '/app.pw', { opening });
  const index = await db.index<string, string>('things', { key: 'utf8', value: 'utf8' });
  await index.put('a', '1');
  stopClock();
  return { db, index };
}
