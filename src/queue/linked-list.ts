/** Values in the order in which they came; any of them can leave, however many there are. */

export interface Link<Value> {
  readonly value: Value;
  previous: Link<Value> | undefined;
  next: Link<Value> | undefined;
  /** Absent once it has left. */
  list: LinkedList<Value> | undefined;
}

export class LinkedList<Value> {
  #first: Link<Value> | undefined;
  #last: Link<Value> | undefined;

  get first(): Value | undefined {
    return this.#first?.value;
  }

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  append(value: Value): Link<Value> {
    const link: Link<Value> = { value, previous: this.#last, next: undefined, list: this };
    if (this.#last) this.#last.next = link;
    else this.#first = link;
    this.#last = link;
    return link;
  }

  /** One that has left already changes nothing. */
  remove(link: Link<Value>): void {
    if (link.list !== this) return;
    const { previous, next } = link;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    link.list = undefined;
  }
}
