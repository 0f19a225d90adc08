/** What was asked for cannot be measured here: the engine is not installed, or cannot do it. That is no failure. */
export class NotThere extends Error {
  name = 'NotThere';
}
