// `npm run bench -- <name>`: sets up, then runs bench/<name>.mjs. What follows the name goes to it.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run, setUp } from './set-up.mjs';

const [name = '', ...options] = process.argv.slice(2);
const program = join('bench', `${name}.mjs`);
if (!existsSync(program)) {
  const names = readdirSync('bench').filter((file) => file.endsWith('.mjs') && !file.includes('.cell.'));
  console.error(`There is no benchmark "${name}". There are: ${names.map((file) => file.slice(0, -4)).join(', ')}.`);
  process.exit(1);
}
setUp();
run(process.execPath, [program, ...options]);
