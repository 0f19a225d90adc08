// `npm test`: sets up, then runs every test that needs no native toolchain. Arguments go to vitest.
import { join } from 'node:path';
import { run, setUp } from './set-up.mjs';

// Tests open thousands of stores in one process. Where the C library has freed as much before, it clears the memory of the next one by hand, which
// takes longer than all else that an opening does; taken from the kernel anew it is clear already. Other systems do not look at this.
const env = { MALLOC_MMAP_THRESHOLD_: String(2 ** 17), PAGEWRIGHT_IS_BUILT: '1', ...process.env };

setUp();
run(process.execPath, [join('node_modules', 'vitest', 'vitest.mjs'), 'run', ...process.argv.slice(2)], { env });
