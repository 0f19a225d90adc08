/** The log and its policies keep the contracts of their kinds. */
import { commitPolicyConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { pipelinedPolicy, syncPolicy } from '../src/index.js';

const runner = { describe, it };

commitPolicyConformance(runner, { type: pipelinedPolicy });
commitPolicyConformance(runner, { type: syncPolicy, manifest: { timerless: true } });
