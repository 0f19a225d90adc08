/**
 * Makes a failing list smaller: leaves out ever smaller parts of it for as long as it still fails (Zeller and Hildebrandt,
 * Simplifying and Isolating Failure-Inducing Input, IEEE TSE 2002). What is left is no proof of a minimum, and enough to read.
 */
export async function shrink<Item>(
  items: readonly Item[],
  stillFails: (fewer: readonly Item[]) => Promise<boolean>,
  mostTries = 400,
): Promise<readonly Item[]> {
  let smallest = items;
  let tries = 0;
  for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < smallest.length; ) {
      if (tries++ >= mostTries) return smallest;
      const fewer = [...smallest.slice(0, from), ...smallest.slice(from + size)];
      if (await stillFails(fewer)) smallest = fewer;
      else from += size;
    }
  }
  return smallest;
}
