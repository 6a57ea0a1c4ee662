/** What is shown while the demo works: a bar on a terminal, a line for each thing done elsewhere. */
import { styleText } from 'node:util';

/** Something was done. */
export interface Step {
  /** What the bar stands for. */
  readonly label: string;
  readonly done: number;
  readonly total: number;
  /** Behind the bar. */
  readonly note?: string;
}

export interface Display {
  /** A line that stays. */
  say(text: string): void;
  /** A line that stays and catches the eye. */
  warn(text: string): void;
  /** @param text What was done; shown where there is no bar. */
  step(step: Step, text?: string): void;
  /** What is under way will not be finished: what comes next begins on a line of its own. */
  end(): void;
}

/** The part of a terminal, or of what stands for one, that is used. */
export interface Output {
  isTTY?: boolean;
  columns?: number;
  hasColors?(): boolean;
  write(text: string): unknown;
}

export function createDisplay(output: Output = process.stdout): Display {
  return output.isTTY ? new Bar(output) : new Lines(output);
}

class Lines implements Display {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  say(text: string): void {
    this.#output.write(`${text}\n`);
  }

  warn(text: string): void {
    this.say(text);
  }

  end(): void {}

  step({ label, done, total }: Step, text?: string): void {
    if (text === undefined) return;
    const counter = `[${String(done).padStart(String(total).length)}/${total}]`;
    this.say(`${label} ${counter} ${text}`);
  }
}

const BAR_WIDTH = 28;
/** Where a terminal does not know how wide it is. */
const DEFAULT_COLUMNS = 80;
/** Bars stand below each other. */
const LABEL_WIDTH = 13;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const CLEAR_LINE = '\r\u001B[K';

class Bar implements Display {
  readonly #output: Output;
  readonly #hasColours: boolean;
  #bar = '';

  constructor(output: Output) {
    this.#output = output;
    this.#hasColours = process.env['NO_COLOR'] === undefined && output.hasColors?.() === true;
  }

  say(text: string): void {
    this.#output.write(`${CLEAR_LINE}${text}\n${this.#bar}`);
  }

  warn(text: string): void {
    this.say(this.#style('yellow', text));
  }

  end(): void {
    if (this.#bar !== '') this.#output.write('\n');
    this.#bar = '';
  }

  step({ label, done, total, note = '' }: Step): void {
    const isDone = done >= total;
    const counter = `${done}/${total}`;
    const title = label.padEnd(LABEL_WIDTH);
    const plain = `${title} ${' '.repeat(BAR_WIDTH)} ${counter}  `;
    // A line that wraps cannot be cleared.
    const room = Math.max(0, (this.#output.columns || DEFAULT_COLUMNS) - plain.length - 1);
    const bar = this.#style(isDone ? 'green' : 'cyan', drawBar(total === 0 ? 1 : done / total));
    const line = `${title} ${bar} ${counter}  ${this.#style('dim', note.slice(0, room))}`;
    this.#bar = isDone ? '' : line;
    this.#output.write(`${CLEAR_LINE}${line}${isDone ? '\n' : ''}`);
  }

  #style(format: Parameters<typeof styleText>[0], text: string): string {
    return this.#hasColours ? styleText(format, text) : text;
  }
}

function drawBar(share: number): string {
  const eighths = Math.round(Math.min(1, share) * BAR_WIDTH * 8);
  const full = '█'.repeat(Math.floor(eighths / 8));
  return `${full}${EIGHTHS[eighths % 8]}`.padEnd(BAR_WIDTH, '░');
}
