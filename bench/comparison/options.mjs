/** What a comparison is asked for, from the command line: everything that is wrong is said at once, with what there is instead. */
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  checkDataName,
  dataNames,
  engineNamed,
  engineNames,
  loadWorkload,
  usualDataNames,
  workloadNames,
} from './choices.mjs';

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

const OPTIONS = {
  engines: { type: 'string', default: engineNames.join(',') },
  workloads: { type: 'string', default: workloadNames.join(',') },
  data: { type: 'string', default: usualDataNames.join(',') },
  keys: { type: 'string', default: '1e6' },
  operations: { type: 'string', default: '1e6' },
  rounds: { type: 'string', default: '5' },
  peer: { type: 'string', default: 'lmdb' },
  seed: { type: 'string', default: '1' },
  directory: { type: 'string', default: tmpdir() },
  'paths-from': { type: 'string', default: ['/usr', NODE_MODULES].join(',') },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
};

export const HELP = `npm run bench -- engines [options]

  --engines NAMES     ${engineNames.join(', ')}, or modules by their paths; default: all
  --workloads NAMES   ${workloadNames.join(', ')}; default: all
  --data NAMES        ${dataNames.join(', ')}; default: ${usualDataNames.join(',')}
  --keys N            entries in a store; default 1e6
  --operations N      reads that are timed; default 1e6
  --rounds N          default 5
  --peer NAME         the engine that ratios are held against; default lmdb
  --seed N            of all that is random; default 1
  --directory PATH    where stores are made; default the system's directory for temporary files
  --paths-from PATHS  directories whose files' paths are keys; default /usr and node_modules
  --json FILE         default bench/results/TIME.json
`;

/** Errors: one whose message lists all that is wrong. */
export async function planOf(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  const problems = [];
  const collect = async (names, find) => {
    const found = [];
    for (const name of names.split(',').filter((name) => name !== '')) {
      try {
        found.push(await find(name));
      } catch (error) {
        problems.push(error.message);
      }
    }
    if (found.length === 0 && problems.length === 0) problems.push(`Nothing is named in "${names}".`);
    return found;
  };
  const number = (name) => {
    const value = Number(values[name]);
    if (!Number.isSafeInteger(value) || value < 1)
      problems.push(`--${name} is a whole number from 1 on, not "${values[name]}".`);
    return value;
  };
  const plan = {
    help: values.help,
    engines: await collect(values.engines, engineNamed),
    workloads: await collect(values.workloads, async (name) => ({ name, workload: await loadWorkload(name) })),
    data: await collect(values.data, checkDataName),
    rounds: number('rounds'),
    seed: number('seed'),
    peer: (await collect(values.peer, engineNamed))[0]?.name,
    directory: values.directory,
    pathsFrom: values['paths-from'].split(','),
    json: values.json,
    task: { keys: number('keys'), operations: number('operations') },
  };
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return plan;
}
