// Closes a test run with what was left out and why, in one list, then what failed and how, and the counts in one plain line: who sees the end of a log alone
// knows which test to look at.
import { inspect } from 'node:util';

/** Clauses of conformance suites say in their names what the part would have to be able to do. */
function reasonIn(name) {
  const [, capabilities] = /\(needs: ([^)]*)\)$/.exec(name) ?? [];
  return capabilities && `the part does not promise ${capabilities}`;
}

/** What failed, how, and from where the error came: messages of random tests begin with their seed. Anything may have been thrown. */
function failure(place, errors = []) {
  const lines = errors.flatMap((error) => {
    const { message, stack } = Object(error);
    const what = typeof message === 'string' ? message : inspect(message ?? error);
    return [what.slice(0, 2000), ...String(stack).split('\n').filter(isFrame).slice(0, 2)];
  });
  return [`- ${place}`, ...lines].join('\n    ');
}

const isFrame = (line) => line.startsWith('    at ');

export default class SummaryReporter {
  onTestRunEnd(modules, unhandled) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const skipped = [];
    const failures = unhandled.map((error) => failure('met by no test', [error]));
    for (const module of modules) {
      const { relativeModuleId: file } = module;
      if (module.errors().length > 0) {
        counts.failed++;
        failures.push(failure(file, module.errors()));
      }
      for (const test of module.children.allTests()) {
        const { state, note, errors } = test.result();
        if (state === 'passed') counts.passed++;
        else if (state === 'failed') {
          counts.failed++;
          failures.push(failure(`${file} > ${test.fullName}`, errors));
        } else {
          counts.skipped++;
          skipped.push(`${test.fullName}: ${note ?? reasonIn(test.name) ?? 'not chosen for this run'}`);
        }
      }
    }
    console.log('\nLeft out:');
    for (const line of skipped) console.log(`- ${line}`);
    if (failures.length > 0) console.log(`\nFailed:\n${failures.join('\n')}`);
    const errors = unhandled.length === 0 ? '' : `, ${unhandled.length} errors that no test has met`;
    console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped${errors}`);
  }
}
