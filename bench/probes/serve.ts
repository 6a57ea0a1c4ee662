/** The other end of `measure/child.ts`: opens what is measured, takes turns when asked, ends with its parent. */
import type { Answer, Question } from '../measure/child.js';

/** What is measured; setup and commands are its scenario's, which alone knows their types. */
export interface Probe {
  turn(command: never): Promise<unknown>;
  stop(): Promise<void>;
}

export function serve(open: (setup: never) => Promise<Probe>): void {
  let probe: Probe | undefined;
  async function answer(question: Question): Promise<unknown> {
    if ('open' in question) {
      probe = await open(question.open as never);
      return 'opened';
    }
    if ('turn' in question) return probe?.turn(question.turn as never);
    await probe?.stop();
    return process.exit();
  }
  process.on('message', (question: Question) => {
    answer(question).then(
      (value) => process.send?.({ answer: value } satisfies Answer),
      (thrown: unknown) => process.send?.({ failed: String(thrown) } satisfies Answer),
    );
  });
  // Its parent is gone: nobody would ever stop it.
  process.on('disconnect', () => process.exit());
}
