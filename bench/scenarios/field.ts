/**
 * Those who take part in a scenario, each in a process of its own for all of its turns, so that one's heap and
 * compiled code are no part of another's and warm-up is paid once. They take turns, A B C A B C …, until the time
 * is up; who cannot open or fails in a turn is out, with the reason.
 */
import type { Child } from '../measure/child.js';
import { ratioOf } from '../measure/statistics.js';
import type { Ratio, Row, RowFacts } from '../report/report.js';

/** One who wants to take part. */
export interface Entry {
  readonly facts: RowFacts;
  readonly open: () => Promise<Child>;
}

interface Player<A> {
  readonly facts: RowFacts;
  readonly child?: Child;
  readonly answers: A[];
  out?: string;
}

/** How often turns are taken. */
export interface Rounds {
  /** Of `performance.now()`: no round begins that would not end before, if it takes as long as the last. */
  readonly deadline: number;
  /** So many are taken all the same. */
  readonly least?: number;
  readonly most?: number;
}

export class Field<A> {
  readonly #players: ReadonlyMap<string, Player<A>>;

  private constructor(players: ReadonlyMap<string, Player<A>>) {
    this.#players = players;
  }

  static async open<A>(entries: readonly Entry[]): Promise<Field<A>> {
    const players = await Promise.all(
      entries.map(async ({ facts, open }): Promise<[string, Player<A>]> => {
        try {
          return [facts.system, { facts, child: await open(), answers: [] }];
        } catch (thrown) {
          return [facts.system, { facts, answers: [], out: reason(thrown) }];
        }
      }),
    );
    return new Field(new Map(players));
  }

  /** A round that does not count: code is compiled, files are made. */
  async warmUp(command: object | ((system: string) => object)): Promise<void> {
    await this.#round(command, () => {});
  }

  async takeTurns(
    command: object | ((system: string) => object),
    { deadline, least = 1, most = Infinity }: Rounds,
  ): Promise<void> {
    let lastMs = 0;
    for (let round = 0; round < most; round++) {
      const startedAt = performance.now();
      if (round >= least && startedAt + lastMs > deadline) return;
      await this.#round(command, (player, answer) => player.answers.push(answer));
      lastMs = performance.now() - startedAt;
    }
  }

  async #round(
    command: object | ((system: string) => object),
    take: (player: Player<A>, answer: A) => void,
  ): Promise<void> {
    for (const [system, player] of this.#players) {
      if (!player.child || player.out !== undefined) continue;
      try {
        take(player, await player.child.turn<A>(typeof command === 'function' ? command(system) : command));
      } catch (thrown) {
        player.out = reason(thrown);
        await player.child.kill();
      }
    }
  }

  answers(system: string): readonly A[] {
    return this.#players.get(system)?.answers ?? [];
  }

  rows(figures: (answers: readonly A[]) => Record<string, number>): Row[] {
    return [...this.#players.values()].map(({ facts, answers, out }) => ({
      ...facts,
      ...(answers.length > 0 && figures(answers)),
      ...(out !== undefined && { notMeasured: out }),
    }));
  }

  /** By the key `a/b`; empty where one of them has no figures. */
  ratio(key: string, a: string, b: string, figure: (answer: A) => number): [string, Ratio][] {
    const ratio = ratioOf(this.answers(a).map(figure), this.answers(b).map(figure));
    return ratio ? [[key, ratio]] : [];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#players.values()].map(async ({ child }) => child?.stop()));
  }
}

/** One line of it: the rest is a stack. */
function reason(thrown: unknown): string {
  const lines = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n');
  return lines.find((line) => /error/i.test(line))?.trim() ?? lines[0]?.trim() ?? '';
}
