// Before vitest runs a test: what is tested is built, whoever began the run.
import { setUp } from './set-up.mjs';

export default function setup() {
  if (process.env.PAGEWRIGHT_IS_BUILT !== '1') setUp();
}
