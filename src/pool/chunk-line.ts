/** The chunks that a thread has, one behind the other, each with a slot of the shared memory. */
import type { Clock } from '../clock.js';
import type { MillraceError } from '../errors.js';
import { Chunk, type ChunkEvents } from './chunk.js';
import type { StopReason, Task } from './contract.js';
import { CHUNKS_PER_THREAD, type TaskRef } from './protocol.js';
import { Slot } from './slot.js';
import type { Timed } from './wire.js';

export interface ChunkLineEvents extends Omit<ChunkEvents, 'stopping'> {
  /** The task should stop; its handler may be awaiting something, and not look into the shared memory. */
  stopping(task: Task, ref: TaskRef): void;
}

interface Member {
  readonly slot: number;
  readonly chunk: Chunk;
  readonly onThrough: () => void;
}

export class ChunkLine {
  readonly #slots = Array.from({ length: CHUNKS_PER_THREAD }, () => new Slot());
  readonly #clock: Clock;
  readonly #events: ChunkLineEvents;
  /** In the order in which the thread works on them. */
  readonly #members: Member[] = [];

  constructor(clock: Clock, events: ChunkLineEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  /** What the thread is given. */
  get buffers(): SharedArrayBuffer[] {
    return this.#slots.map(({ buffer }) => buffer);
  }

  get isEmpty(): boolean {
    return this.#members.length === 0;
  }

  get isFull(): boolean {
    return this.#members.length === this.#slots.length;
  }

  /**
   * To be called while it is not full.
   * @param onThrough Called when the thread is through with it.
   * @returns the number of its slot.
   */
  add(tasks: readonly Task[], onThrough: () => void): number {
    const slot = this.#slots.findIndex((_slot, number) => !this.#find(number));
    // Safe: there is one, for the line is not full.
    const chunk = new Chunk(tasks, this.#slots[slot] as Slot, this.#clock, {
      ...this.#events,
      stopping: (task, index) => this.#events.stopping(task, { slot, index }),
    });
    this.#members.push({ slot, chunk, onThrough });
    const [head] = this.#members;
    if (head?.chunk === chunk) chunk.begin();
    else head?.chunk.hurry();
    return slot;
  }

  /** A progress value or a log line of this task, settled or not, has been heard. */
  heard({ slot }: TaskRef): void {
    this.#slots[slot]?.hear();
  }

  /** A task that is not settled yet. */
  open({ slot, index }: TaskRef): Task | undefined {
    return this.#find(slot)?.chunk.open(index);
  }

  /**
   * @param first The task that the first answer is of.
   * @returns what to call when these were the last answers of their chunk, which is gone from here by then.
   */
  answered({ slot, index }: TaskRef, answers: readonly Timed[]): (() => void) | undefined {
    const member = this.#find(slot);
    if (!member?.chunk.answered(index, answers)) return undefined;
    member.chunk.dispose();
    this.#members.splice(this.#members.indexOf(member), 1);
    this.#members[0]?.chunk.begin();
    return member.onThrough;
  }

  /** The task's own code threw where no promise catches it. */
  strayed({ slot, index }: TaskRef, error: Uint8Array): void {
    this.#find(slot)?.chunk.strayed(index, error);
  }

  /** Whether the task was one of these. */
  stop(task: Task, reason: StopReason): boolean {
    for (const { chunk } of this.#members) {
      const index = chunk.indexOf(task);
      if (index < 0) continue;
      chunk.stop(index, reason);
      return true;
    }
    return false;
  }

  /** Takes back the tasks whose turn has not come. */
  withdraw(): void {
    for (const { chunk } of this.#members) chunk.withdraw();
  }

  /** Those that are not settled, in the order in which the thread works on them. */
  get tasks(): Task[] {
    return this.#members.flatMap(({ chunk }) => chunk.tasks);
  }

  /** The job types of the tasks that are not settled. */
  openTypes(): Set<string> {
    return new Set(this.#members.flatMap(({ chunk }) => [...chunk.openTypes()]));
  }

  /**
   * The thread has gone.
   * @param fault What ended it, unless the engine did.
   * @returns whether a task is to blame.
   */
  lost(fault: MillraceError | undefined): boolean {
    const blamed = this.#members.splice(0).filter(({ chunk }) => chunk.lost(fault));
    return blamed.length > 0;
  }

  #find(slot: number): Member | undefined {
    return this.#members.find((member) => member.slot === slot);
  }
}
