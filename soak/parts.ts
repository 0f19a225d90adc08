/** All parts of the soak, by name. */
import { crashes, faults } from './crashes/crashes.js';
import type { Part } from './part.js';

export const PARTS: readonly Part[] = [crashes, faults];
