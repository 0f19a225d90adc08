/**
 * New orders and payments after TPC-C, the two transactions that most of its load consists of, in Pagewright and other engines. It is no TPC-C: three of its transactions
 * are left out, and so are thinking times, which would make any of these engines wait for terminals. Each cell is a process of its own, cells take turns, and the
 * tables are checked after each. `npm run bench -- orders --help` says what can be chosen.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { COMMON_HELP, compareOneWorkload } from './comparison/one-workload.mjs';

const OWN = 'pagewright';
const ENGINES = [OWN, 'lmdb', 'better-sqlite3'];

const HELP = `npm run bench -- orders [options]

  --engines NAMES    ${ENGINES.join(', ')}, or modules by their paths; default: all
  --warehouses N     default 2, of some 60 MiB each
  --seconds N        of each form; default 5
  --operations N     transactions at the most; default 500000
${COMMON_HELP}
`;

process.exitCode = await compareOneWorkload({
  name: 'orders',
  help: HELP,
  engines: ENGINES,
  engineNamed,
  numbers: { warehouses: '2', seconds: '5', operations: '500000' },
  workload: {
    needs: 'empty',
    measures: {
      durable: { title: 'a transaction, durable, 64 terminals', unit: 'ns' },
      relaxed: { title: 'a transaction, relaxed, one terminal', unit: 'ns' },
    },
  },
  program: fileURLToPath(new URL('orders.cell.mjs', import.meta.url)),
  peer: 'lmdb',
  title: ({ warehouses }) => `${warehouses} ${warehouses === 1 ? 'warehouse' : 'warehouses'}`,
});

function engineNamed(name) {
  if (ENGINES.includes(name)) {
    const module = new URL(`orders/engines/${name}.mjs`, import.meta.url).href;
    return { name, module, isPeer: name !== OWN, isLimit: false };
  }
  const path = resolve(name);
  if (name.endsWith('.mjs') && existsSync(path))
    return { name, module: pathToFileURL(path).href, isPeer: false, isLimit: false };
  throw new Error(
    `There is no engine "${name}". There are: ${ENGINES.join(', ')}, and any module that is named by its path.`,
  );
}
