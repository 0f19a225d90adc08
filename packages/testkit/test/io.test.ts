import { describe, it } from 'vitest';
import { dropAll, type IoSubject, ioConformance, keepSome, SimulatedDevice } from '../src/index.js';
import { deviceSubject } from './io-device.js';

const capabilities = { locks: true, pins: true, sharedMemory: true, writeBack: true, crash: true };
const devices: Record<string, () => IoSubject> = {
  'without a schedule': () => deviceSubject(new SimulatedDevice(), () => dropAll),
  'whose crashes keep some': () => deviceSubject(new SimulatedDevice(), () => keepSome(5)),
  'with a schedule': () => deviceSubject(new SimulatedDevice({ seed: 1, schedule: {} }), () => dropAll),
  'with a long schedule': () => deviceSubject(new SimulatedDevice({ seed: 2, schedule: { turns: 30 } }), () => dropAll),
};

for (const [name, create] of Object.entries(devices)) {
  describe(`the simulated device ${name}`, () => {
    ioConformance({ describe, it }, { create, capabilities });
  });
}
