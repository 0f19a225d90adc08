import type { IoBackend } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import { brokenClauses, dropAll, IO_SUITE, type IoSubject, SimulatedDevice } from '../src/index.js';
import { deviceSubject } from './io-device.js';
import { faulty } from './io-fault.js';
import { folded } from './io-folded.js';
import { PLANTED_FAULTS } from './io-planted.js';

const capabilities = { locks: true, pins: true, sharedMemory: true, largeFiles: true, writeBack: true, crash: true };

/** Clauses that take long. They are looked at for the faults that are said to break them, and for a sound backend. */
const LONG = ['ten-thousand', 'far-places'];

/** With files of many GiB: what is far is folded onto what is near. */
const sound = (): IoSubject => {
  const subject = deviceSubject(new SimulatedDevice(), () => dropAll);
  return { ...subject, backend: folded(subject.backend), crash: async () => folded(await subject.crash!()) };
};

describe('the suite of I/O backends', () => {
  it.each(PLANTED_FAULTS)('finds out that $what', async (fault) => {
    const create = (): IoSubject => {
      const subject = sound();
      return {
        ...subject,
        backend: faulty(subject.backend, fault),
        crash: async () => faulty((await subject.crash?.()) as IoBackend, fault),
      };
    };
    const ids = IO_SUITE.clauses.map(({ id }) => id).filter((id) => !LONG.includes(id) || fault.breaks.includes(id));
    const broken = await brokenClauses(IO_SUITE, { create }, capabilities, new Set(ids));
    expect(broken.map(({ id }) => id).sort()).toEqual([...fault.breaks].sort());
  });

  it('has no clause that finds no fault', () => {
    const found = new Set(PLANTED_FAULTS.flatMap(({ breaks }) => breaks));
    const unproven = IO_SUITE.clauses.map(({ id }) => id).filter((id) => !found.has(id));
    expect(unproven).toEqual([]);
  });

  it('has clauses with ids of their own', () => {
    const ids = IO_SUITE.clauses.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('finds nothing wrong with a sound backend', async () => {
    expect(await brokenClauses(IO_SUITE, { create: sound }, capabilities)).toEqual([]);
  });
});
