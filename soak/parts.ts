/** All parts of the soak, by name. */
import { anomalies } from './anomalies/part.js';
import { crashes, faults } from './crashes/crashes.js';
import { fuzzing } from './fuzz/part.js';
import type { Part } from './part.js';
import { powerCuts } from './power-cut/part.js';
import { schedules } from './schedules/part.js';
import { threads } from './threads/part.js';

/** The longest first: they run beside each other. */
export const PARTS: readonly Part[] = [fuzzing, crashes, schedules, faults, powerCuts, threads, anomalies];
