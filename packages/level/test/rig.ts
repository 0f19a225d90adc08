/** Databases in a directory of their own, which are closed at the end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DatabaseOptions, PagewrightLevel } from '../src/index.js';

export class Rig {
  readonly directory = mkdtempSync(join(tmpdir(), 'pagewright-level-'));
  private readonly databases: PagewrightLevel<never, never>[] = [];

  path(name = 'app.pw'): string {
    return join(this.directory, name);
  }

  /** Opens a database that has little memory. */
  async open<K = string, V = string>(
    options: DatabaseOptions<K, V> = {},
    name?: string,
  ): Promise<PagewrightLevel<K, V>> {
    const db = new PagewrightLevel<K, V>(this.path(name), { memory: '4MiB', ...options });
    this.databases.push(db as unknown as PagewrightLevel<never, never>);
    await db.open();
    return db;
  }

  async end(): Promise<void> {
    for (const db of this.databases) await db.close().catch(() => {});
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface Told {
  readonly code: unknown;
  readonly cause?: Told | undefined;
}

/** Codes of the error that a call throws, or rejects with, and of what has caused it. */
export async function codesOf(call: () => unknown): Promise<unknown[]> {
  try {
    await call();
  } catch (error) {
    const codes: unknown[] = [];
    for (let told = error as Told | undefined; told !== undefined; told = told.cause) codes.push(told.code);
    return codes;
  }
  return ['none'];
}
