/** The simulated device as the I/O suite wants it. */
import type { IoSubject, SimulatedDevice, Survival } from '../src/index.js';

/** A subject whose crashes lose what `survival` says. */
export function deviceSubject(device: SimulatedDevice, survival: () => Survival): IoSubject {
  let now = device;
  return {
    backend: device,
    directory: '/store',
    crash: () => {
      now = now.afterCrash(survival());
      return now;
    },
  };
}
