/** Which stand-ins for a loss of power this machine can have, from the one nearest to a real device on down. */
import { readFileSync } from 'node:fs';
import { canCutFileSystems } from './cuttable-file-system.js';
import { VolatileLayer } from './volatile-layer.js';

export interface PowerCutStandIn {
  readonly name: 'device mapper' | 'ext4 shut down on a loop device' | 'preloaded layer';
  /** Null if it can be had. */
  readonly missing: string | null;
}

/** All of them, in order, each with the reason why it cannot be had, if it cannot. */
export function powerCutStandIns(): PowerCutStandIn[] {
  return [
    { name: 'device mapper', missing: whyNoDeviceMapper() },
    { name: 'ext4 shut down on a loop device', missing: canCutFileSystems().missing ?? null },
    { name: 'preloaded layer', missing: VolatileLayer.build().missing ?? null },
  ];
}

/** The same for a person to read, a line for each. */
export function describeStandIns(): string {
  return powerCutStandIns()
    .map(({ name, missing }) => `power cut by ${name}: ${missing === null ? 'yes' : `no, ${missing}`}`)
    .join('\n');
}

function whyNoDeviceMapper(): string {
  if (process.platform !== 'linux') return `it is a matter of Linux, and this is ${process.platform}`;
  const inKernel = readFileSync('/proc/misc', 'utf8').includes('device-mapper');
  return inKernel
    ? 'the test kit has no run on flakey or log-writes; the file system is cut off above the device instead'
    : 'this kernel has no device mapper';
}
