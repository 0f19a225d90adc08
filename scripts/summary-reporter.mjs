// Closes a test run with what was left out and why, in one list, and with the counts in one plain line.

/** Clauses of conformance suites say in their names what the part would have to be able to do. */
function reasonIn(name) {
  const [, capabilities] = /\(needs: ([^)]*)\)$/.exec(name) ?? [];
  return capabilities && `the part does not promise ${capabilities}`;
}

export default class SummaryReporter {
  onTestRunEnd(modules, unhandled) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const skipped = [];
    for (const module of modules) {
      if (module.errors().length > 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const { state, note } = test.result();
        if (state === 'passed' || state === 'failed') counts[state]++;
        else {
          counts.skipped++;
          skipped.push(`${test.fullName}: ${note ?? reasonIn(test.name) ?? 'not chosen for this run'}`);
        }
      }
    }
    console.log('\nLeft out:');
    for (const line of skipped) console.log(`- ${line}`);
    const errors = unhandled.length === 0 ? '' : `, ${unhandled.length} errors that no test has met`;
    console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped${errors}`);
  }
}
