// `npm test`: sets up, then runs every test that needs no native toolchain. Arguments go to vitest.
import { join } from 'node:path';
import { run, setUp } from './set-up.mjs';

setUp();
run(process.execPath, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...process.argv.slice(2)]);
