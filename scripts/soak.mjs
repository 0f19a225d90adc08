// `npm run soak`: sets up, then looks for faults for as long as it is given. Arguments go to the soak.
import { join } from 'node:path';
import { run, setUp } from './set-up.mjs';

setUp();
run(process.execPath, [join('soak', 'dist', 'main.js'), ...process.argv.slice(2)]);
