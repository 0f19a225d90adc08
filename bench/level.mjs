/**
 * `@pagewright/level` beside classic-level, by abstract-level's interface alone. Each cell is a process of its own, cells take turns, and every answer is checked.
 * `npm run bench -- level --help` says what can be chosen.
 */
import { fileURLToPath } from 'node:url';
import { COMMON_HELP, compareOneWorkload } from './comparison/one-workload.mjs';
import { ENGINES } from './level/engines.mjs';
import { MEASURES } from './level/work.mjs';

const NAMES = Object.keys(ENGINES);
const PEER = 'classic-level';

const HELP = `npm run bench -- level [options]

  --engines NAMES    ${NAMES.join(', ')}; default: all
  --keys N           default 200000
  --operations N     of each kind; default 100000
${COMMON_HELP}
`;

process.exitCode = await compareOneWorkload({
  name: 'level',
  help: HELP,
  engines: NAMES,
  engineNamed(name) {
    if (NAMES.includes(name)) return { name, module: name, isPeer: name === PEER, isLimit: false };
    throw new Error(`There is no engine "${name}". There are: ${NAMES.join(', ')}.`);
  },
  numbers: { keys: '200000', operations: '100000' },
  workload: { needs: 'empty', measures: MEASURES },
  program: fileURLToPath(new URL('level.cell.mjs', import.meta.url)),
  peer: PEER,
  title: ({ keys }) => `${keys} keys of decimal digits`,
});
