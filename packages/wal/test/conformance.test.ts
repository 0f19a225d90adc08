/** The log and its policies keep the contracts of their kinds. */
import { commitPolicyConformance, logConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { pipelinedPolicy, syncPolicy, WriteAheadLog } from '../src/index.js';

const runner = { describe, it };

commitPolicyConformance(runner, { type: pipelinedPolicy });
commitPolicyConformance(runner, { type: syncPolicy, manifest: { timerless: true } });

logConformance(runner, {
  create: () => new WriteAheadLog({ segmentSize: '64KiB', maxRecordSize: '1MiB', bufferLimit: '64KiB' }),
});
