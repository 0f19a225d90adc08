/** An engine gave what was not stored, or not what was: nothing that was measured of it counts. */
export class WrongAnswer extends Error {
  name = 'WrongAnswer';
}
