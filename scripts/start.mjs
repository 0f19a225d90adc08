// `npm start`: sets up, then runs the quickstart.
import { join } from 'node:path';
import { run, setUp } from './set-up.mjs';

setUp();
run(process.execPath, [join('examples', 'quickstart', 'dist', 'main.js'), ...process.argv.slice(2)]);
