/** A cell is asked once, and sends its parent one message: what was measured, or that it is not there, or what failed. */
import { NotThere } from './not-there.mjs';

export function answerWith(run) {
  process.on('message', async (task) => {
    let answer;
    try {
      answer = await run(task);
    } catch (error) {
      answer = error instanceof NotThere ? { notThere: error.message } : { failed: error.stack };
    }
    process.send(answer, () => process.exit(0));
  });
}
