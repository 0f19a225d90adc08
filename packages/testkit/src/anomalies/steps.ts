/** Counts what checking a history takes, one for each thing that is looked at: that this grows as the history does is known without a clock. */
export class Steps {
  count = 0;
}
