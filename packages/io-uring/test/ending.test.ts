import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeNative, emptyDirectory } from './native.js';
import { bundled, runProgram } from './programs.js';

const ROUNDS = Number(process.env.URING_ENDING_ROUNDS ?? 6);
const SEED = Number(process.env.URING_SEED ?? Date.now() % 2 ** 31);

describeNative('a thread or process that ends with operations in flight', () => {
  let directory: string;
  let program: string;
  let file: string;

  beforeAll(async () => {
    directory = emptyDirectory();
    program = await bundled('ending-program.ts', directory);
    file = path.join(directory, 'data');
    fs.writeFileSync(file, new Uint8Array(16 << 20).fill(0x55));
  });
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

  test(`nothing is written into the memory of ${ROUNDS} threads that were terminated (seed ${SEED})`, async () => {
    const work = { path: file, do: 'terminate', rounds: ROUNDS, seed: SEED, count: 300, length: 16_384 };
    const ended = await runProgram(program, work);
    expect(ended, `seed ${SEED}`).toMatchObject({ code: 0, lines: [{ rounds: ROUNDS, inFlight: ROUNDS * 300 }] });
  });

  test('reads that would never end are cancelled with their thread, those in line too', async () => {
    const ended = await runProgram(program, { path: path.join(directory, 'pipe'), do: 'cancel', count: 1000 });
    expect(ended).toMatchObject({ code: 0, lines: [{ written: 1000, left: 1000, changed: false }] });
  });

  test('a process exits at once, with its code', async () => {
    const ended = await runProgram(program, { path: file, do: 'exit', count: 3000, length: 16_384 });
    expect(ended).toMatchObject({ code: 7, signal: null, errors: '' });
  });

  test('a process that is left to itself lives until all is over, and no longer', async () => {
    const ended = await runProgram(program, { path: file, do: 'run-out', count: 2000, length: 16_384 });
    expect(ended).toMatchObject({ code: 0, lines: [{ over: 2000 }] });
  });

  test('a process whose ring has nothing to do ends', async () => {
    expect(await runProgram(program, { path: file, do: 'idle' })).toMatchObject({ code: 0, lines: ['read'] });
  });
});
