import { describe, expect, it } from 'vitest';
import { brokenClauses, dropAll, IO_SUITE, type IoSubject, SimulatedDevice } from '../src/index.js';
import { deviceSubject } from './io-device.js';
import { faulty } from './io-fault.js';
import { PLANTED_FAULTS } from './io-planted.js';

const capabilities = { locks: true, pins: true, sharedMemory: true, crash: true };

const sound = (): IoSubject => deviceSubject(new SimulatedDevice(), () => dropAll);

describe('the suite of I/O backends', () => {
  it.each(PLANTED_FAULTS)('finds out that $what', async (fault) => {
    const create = (): IoSubject => {
      const subject = sound();
      return {
        ...subject,
        backend: faulty(subject.backend, fault),
        crash: async () => faulty((await subject.crash?.()) as SimulatedDevice, fault),
      };
    };
    const broken = await brokenClauses(IO_SUITE, { create }, capabilities);
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
