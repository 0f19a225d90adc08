/** On what something was measured. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

export function machineOf(loadBefore) {
  return {
    cpu: cpus()[0]?.model,
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    loadBefore,
    loadAfter: loadavg(),
  };
}
