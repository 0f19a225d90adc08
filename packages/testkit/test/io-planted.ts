/** Backends with one fault each, as they are easily written, and the clauses that should find it. */
import type { PlantedFault } from './io-fault.js';
import { OPENING_FAULTS } from './io-planted-openings.js';
import { PLACE_FAULTS } from './io-planted-places.js';
import { TRANSFER_FAULTS } from './io-planted-transfers.js';

export const PLANTED_FAULTS: readonly PlantedFault[] = [...OPENING_FAULTS, ...TRANSFER_FAULTS, ...PLACE_FAULTS];
