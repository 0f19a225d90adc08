/** What is asked for, from the command line: everything that is wrong is said at once, with what there is instead. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { checkPolicy, contestantsOf, defaultNames, engineNames, policyNames } from './contestants.mjs';
import { partNames } from './parts.mjs';

const OPTIONS = {
  engines: { type: 'string', default: defaultNames.join(',') },
  policies: { type: 'string', default: policyNames.join(',') },
  parts: { type: 'string', default: partNames.join(',') },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '2' },
  'in-flight': { type: 'string', default: '1,8,64,512' },
  threads: { type: 'string', default: '1,2' },
  offered: { type: 'string', default: '1,2,5,10,20,30,40,50,60,70,80,90,95' },
  best: { type: 'string' },
  commits: { type: 'string', default: '200' },
  peer: { type: 'string', default: 'lmdb' },
  seed: { type: 'string', default: '1' },
  directory: { type: 'string', default: tmpdir() },
  json: { type: 'string' },
  chart: { type: 'string' },
  help: { type: 'boolean', default: false },
};

export const HELP = `npm run bench -- commits [options]

  --engines NAMES     ${engineNames.join(', ')}, or modules by their paths; default: ${defaultNames.join(', ')}
  --policies NAMES    commit policies of pagewright: ${policyNames.join(', ')}; default: all
  --parts NAMES       ${partNames.join(', ')}; default: all
  --rounds N          default 5
  --seconds N         that each cell is measured, after half as long to warm up; default 2
  --in-flight NUMBERS transactions in flight, of all threads together; default 1,8,64,512
  --threads NUMBERS   threads that commit; default 1,2
  --offered NUMBERS   load under open loop, in percent of --best; default 1,2,5,10,20,30,40,50,60,70,80,90,95
  --best N            commits a second; default the most that a policy has done in one thread in this run
  --commits N         whose flushes are counted; default 200
  --peer NAME         what ratios are held against; default lmdb
  --seed N            of all that is random; default 1
  --directory PATH    where stores are made; default the system's directory for temporary files
  --json FILE         default bench/results/TIME.json
  --chart FILE        where to draw latency over throughput, as SVG
`;

/** Errors: one whose message lists all that is wrong. */
export function planOf(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  const problems = [];
  const collect = (option, find) => {
    const names = values[option].split(',').filter((name) => name !== '');
    if (names.length === 0) problems.push(`Nothing is named in "${values[option]}".`);
    return names.flatMap((name) => {
      try {
        return find(name);
      } catch (error) {
        problems.push(error.message);
        return [];
      }
    });
  };
  const wholeNumber = (option, text) => {
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new Error(`--${option} is a whole number from 1 on, not "${text}".`);
  };
  const whole = (option) => collect(option, (text) => wholeNumber(option, text))[0];
  const positive = (option, most = Number.POSITIVE_INFINITY, what = 'a number above 0') =>
    collect(option, (text) => {
      const value = Number(text);
      if (value > 0 && value <= most && Number.isFinite(value)) return value;
      throw new Error(`--${option} is ${what}, not "${text}".`);
    });
  const policies = collect('policies', checkPolicy);
  const plan = {
    help: values.help,
    contestants: collect('engines', (name) => contestantsOf(name, policies)),
    policies,
    parts: collect('parts', (name) => {
      if (partNames.includes(name)) return name;
      throw new Error(`There is no part "${name}". There are: ${partNames.join(', ')}.`);
    }),
    rounds: whole('rounds'),
    seconds: positive('seconds')[0],
    inFlight: collect('in-flight', (text) => wholeNumber('in-flight', text)),
    threads: collect('threads', (text) => wholeNumber('threads', text)),
    offered: positive('offered', 100, 'numbers above 0 and up to 100'),
    best: values.best === undefined ? undefined : positive('best')[0],
    commits: whole('commits'),
    peer: values.peer,
    seed: whole('seed'),
    directory: values.directory,
    json: values.json,
    chart: values.chart,
  };
  // Whatever the order in which they are named: the open loop is told by what was seen before.
  plan.parts = partNames.filter((name) => plan.parts.includes(name));
  if (plan.parts.includes('open-loop') && plan.best === undefined) {
    if (!plan.parts.includes('in-flight') || !plan.threads.includes(1))
      problems.push('open-loop needs in-flight with one thread, or --best, to know which loads to offer.');
  }
  const names = plan.contestants.map(({ name }) => name);
  if (problems.length === 0 && values.peer !== OPTIONS.peer.default && !names.includes(values.peer))
    problems.push(`--peer is one of ${names.join(', ')}, not "${values.peer}".`);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return plan;
}
