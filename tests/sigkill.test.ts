/** Real processes, real files: a writer is killed again and again; what it acknowledged is there, and nothing by half. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'pagewright';
import { afterEach, expect, it } from 'vitest';

const WRITER = fileURLToPath(new URL('./programs/endless-writer.mjs', import.meta.url));
const ROUNDS = Number(process.env.SIGKILL_ROUNDS ?? 20);
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** Lets the writer go on until it has acknowledged so many, kills it, and tells the highest number that it acknowledged, or -1. */
async function writeAndKill(args: readonly string[], acknowledgements: number): Promise<number[]> {
  const child = spawn(process.execPath, [WRITER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const numbers: number[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line !== 'ready') numbers.push(Number(line));
    if (numbers.length >= acknowledgements) child.kill('SIGKILL');
  });
  const [code, signal] = await once(child, 'close');
  expect(signal, `the writer ended by itself with code ${code}`).toBe('SIGKILL');
  return numbers;
}

for (const [commit, pageSize] of [
  ['pipelined', 4096],
  ['sync', 16384],
] as const) {
  it(`after each of ${ROUNDS} kills every acknowledged transaction is there and none is there by half (${commit}, ${pageSize})`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'pagewright-kill-'));
    directories.push(directory);
    const path = join(directory, 'killed.pw');
    /** The newest transaction that is known to have written each slot. */
    let first = 0;
    let recovered = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const acknowledged = await writeAndKill(
        [path, commit, String(pageSize), String(first)],
        1 + ((round * 53) % 160),
      );
      const db = await open(path, { memory: '4MiB' });
      recovered += db.recovered.transactions;
      const data = await db.index<string, Uint8Array>('data');
      const sums = await db.index<number, { parts: number }>('sums');
      const highest = Math.max(...acknowledged);
      // Each transaction leaves its own number and takes away that of fifty before: what is there is a gapless run.
      const numbers: number[] = [];
      for await (const [number] of sums.range()) numbers.push(number);
      const last = numbers[numbers.length - 1] as number;
      const present = new Set(numbers);
      expect(last).toBeGreaterThanOrEqual(highest);
      for (const number of acknowledged) {
        // A later one that is not acknowledged may have taken it away; then that one is there.
        const successors = Array.from({ length: 10 }, (_, after) => number + after * 50);
        expect(
          successors.some((successor) => present.has(successor)),
          `transaction ${number} of round ${round} is lost`,
        ).toBe(true);
      }
      // Every slot holds the value of a transaction that is there whole: its siblings hold it or something newer.
      const slots = new Map<string, number>();
      for await (const [key, value] of data.range()) {
        const number = Buffer.from(value).readUInt32LE(0);
        slots.set(key, number);
        expect(value.subarray(4).every((byte) => byte === (number & 0xff))).toBe(true);
      }
      for (const number of present) {
        for (let part = 0; part < 5; part++) {
          const slot = slots.get(`slot/${(number * 5 + part * 13) % 400}`);
          expect(slot, `transaction ${number} is there by half`).toBeDefined();
          const isOther = slot !== number;
          if (isOther) expect(writersOf(`slot/${(number * 5 + part * 13) % 400}`, slot as number)).toBe(true);
        }
      }
      await db.close();
      first = last + 1;
    }
    expect(recovered).toBeGreaterThan(0);
  }, 300_000);
}

/** Whether the transaction of this number writes the slot at all. */
function writersOf(slot: string, number: number): boolean {
  return [0, 1, 2, 3, 4].some((part) => `slot/${(number * 5 + part * 13) % 400}` === slot);
}
