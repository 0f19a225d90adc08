/** The log and its policies keep the contracts of their kinds. */
import { commitPolicyConformance, logConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import {
  autonomousPolicy,
  BUILT_IN_POLICIES,
  groupPolicy,
  pipelinedPolicy,
  syncPolicy,
  WriteAheadLog,
} from '../src/index.js';

const runner = { describe, it };

commitPolicyConformance(runner, { type: autonomousPolicy });
commitPolicyConformance(runner, { type: groupPolicy, manifest: { shares: true } });
commitPolicyConformance(runner, { type: pipelinedPolicy, manifest: { shares: true, timerless: true } });
commitPolicyConformance(runner, { type: syncPolicy, manifest: { timerless: true } });

describe.each(BUILT_IN_POLICIES.map(({ name }) => name))('with the policy %s', (commit) => {
  logConformance(runner, {
    create: (archive) =>
      new WriteAheadLog({ commit, segmentSize: '64KiB', maxRecordSize: '1MiB', bufferLimit: '64KiB', archive }),
  });
});
