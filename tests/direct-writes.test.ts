/** Writes past the page cache, and reads through it: what is written goes to the device, and what is read once is in memory. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { IoBackend, IoFile } from '@pagewright/core';
import { PosixFiles } from '@pagewright/io-posix';
import { UringFiles } from '@pagewright/io-uring';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedMemory } from '../packages/io-uring/test/shared-memory.js';

const LENGTH = 65_536;
/** Direct transfers are from memory at places like those in the file. */
const memory = new Uint8Array(sharedMemory(4 * LENGTH).buffer);

const BACKENDS: readonly (IoBackend & { probe(): { supported: boolean; reason?: string } })[] = [
  new PosixFiles({ native: true, direct: 'writes' }),
  new UringFiles({ direct: 'writes' }),
];

describe.each(
  BACKENDS.map((backend) => [backend.name, backend] as const),
)('writes alone past the page cache: %s', (_, backend) => {
  let directory: string;
  let name: string;

  beforeEach(({ skip }) => {
    const { supported, reason } = backend.probe();
    skip(!supported, reason);
    directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-direct-'));
    name = join(directory, 'file');
    skip(!hasDevice(directory), 'the file system of temporary files has no device to go to');
  });
  afterEach(() => {
    if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true });
  });

  it('reads what was written from the device, once', async () => {
    const file = await backend.open(name, { create: true });
    const ways: readonly ((kind: 'read' | 'write') => unknown)[] = [
      (kind) =>
        kind === 'read' ? file.read(memory.subarray(0, LENGTH), 0) : file.write(memory.subarray(0, LENGTH), 0),
      (kind) =>
        kind === 'read' ? file.readSync(memory.subarray(0, LENGTH), 0) : file.writeSync(memory.subarray(0, LENGTH), 0),
      (kind) => file.submit(halves(kind)),
      (kind) => file.submitSync(halves(kind)),
    ];
    for (const [at, way] of ways.entries()) {
      memory.fill(at + 1, 0, LENGTH);
      await way('write');
      for (const [time, wanted] of [LENGTH, 0, 0].entries()) {
        memory.fill(0, 0, LENGTH);
        const before = readFromDevice();
        await way('read');
        expect(readFromDevice() - before, `way ${at}, time ${time}`).toBe(wanted);
        expect(memory.subarray(0, LENGTH).every((byte) => byte === at + 1)).toBe(true);
      }
    }
    await file.close();
  });

  it('takes batches of both kinds, at any places', async () => {
    const file = await backend.open(name, { create: true });
    await file.write(new Uint8Array(4 * LENGTH).fill(9), 0);
    memory.fill(0);
    const part = (at: number, length: number) => memory.subarray(at, at + length);
    part(0, 8192).fill(5);
    part(100_001, 4097).fill(6);
    await file.submit(
      [
        { kind: 'write', offset: 4096, buffer: part(0, 8192) },
        { kind: 'read', offset: 65_536, buffer: part(16_384, 8192) },
        { kind: 'write', offset: 30_001, buffer: part(100_001, 4097) },
        { kind: 'read', offset: 131_073, buffer: part(120_003, 77) },
      ],
      { sync: true },
    );
    expect([memory[16_384], memory[16_384 + 8191], memory[120_003 + 76]]).toEqual([9, 9, 9]);
    const found = fs.readFileSync(name);
    expect([found[4095], found[4096], found[4096 + 8191], found[4096 + 8192]]).toEqual([9, 5, 5, 9]);
    expect([found[30_000], found[30_001], found[30_001 + 4096], found[30_001 + 4097]]).toEqual([9, 6, 6, 9]);
    await file.close();
  });

  it('leaves no descriptor open, and takes what has no such transfers', async () => {
    const before = fs.readdirSync('/proc/self/fd').length;
    for (const readOnly of [false, true]) await (await backend.open(name, { create: true, readOnly })).close();
    const without: IoFile = await backend.open('/proc/self/status', { readOnly: true });
    await without.read(new Uint8Array(16), 0);
    await without.close();
    expect(fs.readdirSync('/proc/self/fd').length).toBe(before);
  });
});

function halves(kind: 'read' | 'write') {
  const half = LENGTH / 2;
  return [half, 0].map((offset) => ({ kind, offset, buffer: memory.subarray(offset, offset + half) }));
}

/** Whether what is read from files there is read from a device that is not memory, and the system counts it. */
function hasDevice(place: string): boolean {
  if (!fs.existsSync('/proc/self/io')) return false;
  if ([0x01021994n, 0x858458f6n].includes(BigInt(fs.statfsSync(place).type))) return false;
  try {
    fs.closeSync(fs.openSync(join(place, 'probe'), fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}

function readFromDevice(): number {
  return Number(/^read_bytes: (\d+)$/m.exec(fs.readFileSync('/proc/self/io', 'utf8'))![1]);
}
