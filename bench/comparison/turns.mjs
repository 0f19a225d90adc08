/** Rounds in which contestants take turns at one kind of work. Each round begins with another one, so that what the machine does meanwhile meets all alike. */

/**
 * Fills `rounds` of each cell with what was measured, or says in `left` why there is no more of it.
 *
 * @param {{ name: string, rounds: object[], left?: string }[]} cells
 * @param {number} rounds
 * @param {(name: string, round: number) => Promise<{ measured?: object, notThere?: string, failed?: string }>} run
 * @param {string} what Before what is told of each turn.
 */
export async function takeTurns(cells, rounds, run, what = '') {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < cells.length; turn++) {
      const cell = cells[(turn + round) % cells.length];
      if (cell.left !== undefined) continue;
      const answer = await run(cell.name, round);
      if (answer.measured === undefined) cell.left = answer.notThere ?? `FAILED: ${answer.failed}`;
      else cell.rounds[round] = answer.measured;
      console.error(`${what}round ${round + 1}, ${cell.name}: ${JSON.stringify(answer.measured ?? cell.left)}`);
    }
  }
}
