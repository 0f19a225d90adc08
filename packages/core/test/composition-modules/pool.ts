/** A module as a plugin's package has it: the factory is its default export. */
export { pool as default } from '../composition-fakes.js';
