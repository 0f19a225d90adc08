/**
 * What people get wrong: stores that are in use, or that they may not open. Each
 * is refused with a code of its own and a message that says what to do, and nothing is lost.
 */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { open } from 'pagewright';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import {
  DATA,
  directory,
  expectKept,
  fill,
  inDirectories,
  makeStore,
  path,
  picture,
  refusal,
  SMALL,
} from './refused-store.js';
import { canMount, kill, start, tell } from './store-process.js';

inDirectories();

describe('a store that is in use', () => {
  let program: string;
  let programs: string;
  beforeAll(async () => {
    programs = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-program-'));
    program = await bundle('../../../tests/store-process-program.ts', programs);
  });
  afterAll(() => fs.rmSync(programs, { recursive: true, force: true }));

  it('in this process is refused with its own pid, under any name of the file, and the engine that has it goes on', async () => {
    await makeStore();
    const db = await open(path, SMALL);
    const other = join(directory, 'other-name.pw');
    for (const link of [() => fs.symlinkSync(path, other), () => fs.linkSync(path, other)]) {
      link();
      for (const name of [path, other]) {
        const error = await refusal(() => open(name), 'PW_LOCKED', /close it first/);
        expect(error.details.pid).toBe(process.pid);
        const reader = await open(name, { readOnly: true, memory: '4MiB' });
        expect([...(await reader.index<string, unknown>('data')).rangeSync()]).toEqual(DATA);
        await reader.close();
      }
      fs.rmSync(other);
    }
    await fill(db);
    await db.close();
    await expectKept();
  });

  it('in another process is refused with its pid; once that is killed, or has closed it, nothing is lost', async () => {
    await makeStore();
    const holder = await start(program);
    expect(await tell(holder, { do: 'open', path, options: SMALL })).toEqual({ outcome: 'done' });
    const error = await refusal(
      () => open(path),
      'PW_LOCKED',
      new RegExp(`process ${holder.pid} has it open.*Close it there`),
    );
    expect(error.details.pid).toBe(holder.pid);
    await kill(holder);
    await expectKept();
    const other = await start(program);
    await tell(other, { do: 'open', path, options: SMALL });
    await refusal(() => open(path), 'PW_LOCKED', /Close it there/);
    expect(await tell(other, { do: 'close' })).toEqual({ outcome: 'done' });
    await expectKept();
  });

  it('here is refused to another process with the pid of this one', async () => {
    const db = await open(path, SMALL);
    await fill(db);
    const other = await start(program);
    const answer = await tell(other, { do: 'open', path, options: SMALL });
    expect(answer).toMatchObject({ outcome: 'PW_LOCKED', details: { pid: process.pid } });
    await fill(db);
    await db.close();
    expect(await tell(other, { do: 'open', path, options: SMALL })).toEqual({ outcome: 'done' });
    expect((await tell(other, { do: 'read' })).entries).toEqual(DATA);
  });

  describe('to which the system does not give access', () => {
    const NOBODY = 65534;
    const opened = async (child: ChildProcess, readOnly = false) =>
      tell(child, { do: 'open', path, options: { memory: '4MiB', readOnly } });
    const denied = (errno: string) => ({
      outcome: 'PW_PERMISSION',
      message: expect.stringMatching(/Check the owner and mode/),
      details: { errno },
    });

    it('by owner and mode is refused, may be read where that is allowed, and stays as it was', async ({ skip }) => {
      skip(process.getuid?.() !== 0, 'only root can run a process as another user');
      fs.chmodSync(programs, 0o755);
      fs.chmodSync(program, 0o755);
      await makeStore();
      const before = picture();
      const open = async (readOnly?: boolean) => {
        const child = await start(program, { user: NOBODY });
        const answer = await opened(child, readOnly);
        return answer.outcome === 'done' ? ((await tell(child, { do: 'read' })).entries ?? []) : answer;
      };
      fs.chmodSync(directory, 0o755);
      fs.chmodSync(path, 0o600); // not even readable
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(denied('EACCES'));
      fs.chmodSync(path, 0o644); // readable
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(DATA);
      fs.chmodSync(path, 0o666); // writable, but the directory is not, where lock and log go
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(DATA);
      fs.chmodSync(directory, 0o700); // not even to be found
      expect(await open()).toMatchObject({ outcome: 'PW_PERMISSION' });
      expect(picture()).toEqual(before);
      await expectKept();
    });

    it('because its file system is mounted read-only is refused, and can be read', async ({ skip }) => {
      skip(!canMount(), 'needs user namespaces, to mount a file system');
      await makeStore();
      const before = picture();
      const within = `mount --bind '${directory}' '${directory}' && mount -o remount,ro,bind '${directory}' && exec "$@"`;
      const child = await start(program, { within });
      expect(await opened(child)).toEqual(denied('EROFS'));
      expect(await opened(child, true)).toEqual({ outcome: 'done' });
      expect((await tell(child, { do: 'read' })).entries).toEqual(DATA);
      expect(await tell(child, { do: 'close' })).toEqual({ outcome: 'done' });
      expect(picture()).toEqual(before);
      await expectKept();
    });
  });
});
