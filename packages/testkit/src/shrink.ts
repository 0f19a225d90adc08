/** Makes a failing plan smaller: operations are left out in ever smaller pieces for as long as what is left still fails. */

/** The lists of operations that a plan is made of. */
export type Lists<Operation> = readonly (readonly Operation[])[];

/**
 * First whole lists are left out, then halves, quarters, and so on; `fails` says whether what is left still fails, and is
 * called at most `budget` times. A run with other operations goes another way, so the failure that is left need not be the
 * one that there was.
 */
export async function shrink<Operation>(
  lists: Lists<Operation>,
  fails: (lists: Lists<Operation>) => Promise<boolean>,
  budget: number,
): Promise<Lists<Operation>> {
  const longest = Math.max(...lists.map(({ length }) => length));
  let smallest = lists;
  let left = budget;
  for (let piece = longest; piece >= 1; piece = Math.floor(piece / 2)) {
    for (let at = lists.length - 1; at >= 0; at--) {
      for (let from = 0; from < (smallest[at] as readonly Operation[]).length; ) {
        if (left-- <= 0) return smallest;
        const list = smallest[at] as readonly Operation[];
        const without = [...list.slice(0, from), ...list.slice(from + piece)];
        const candidate = smallest.map((other, index) => (index === at ? without : other));
        if (await fails(candidate)) smallest = candidate;
        else from += piece;
      }
    }
  }
  return smallest;
}
