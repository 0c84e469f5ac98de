import type { LogLine } from '../../protocol';

const PAUSE_MS = 200; // at least, between two times that listeners are told
const LOOK_BACK = 16; // lines: as many progress bars may run at once

/** The last lines of a log, by number. Lines may come twice, after a reconnection for example; they are kept once. */
export class LogBuffer {
  /** Lines that were dropped: by the server, or here because the buffer is full. */
  dropped = 0;
  /** Lines that were ever added. */
  received = 0;
  #lines: LogLine[] = [];
  #start = 0; // of the lines in use: the front is cut seldom
  #listeners = new Set<() => void>();
  #scheduled = false;
  #told = -PAUSE_MS; // when listeners were told last

  constructor(readonly capacity = 100_000) {}

  get length(): number {
    return this.#lines.length - this.#start;
  }

  /** The number of the last line, 0 before the first. */
  get last(): number {
    return this.#lines.at(-1)?.n ?? 0;
  }

  at(index: number): LogLine {
    return this.#lines[this.#start + index]!;
  }

  append(lines: LogLine[], lost = 0): void {
    const before = this.#lines.length;
    let { last } = this;
    for (const line of lines) {
      if (line.n <= last) continue;
      if (line.text.startsWith('\r')) {
        // The next state of a progress bar replaces the last one of its source, which is not far before it.
        const is = (one: LogLine) => one.source === line.source && one.stage === line.stage && one.text.endsWith('\r');
        const back = this.#lines.slice(-LOOK_BACK).reverse().findIndex(is);
        if (back >= 0) this.#lines.splice(-1 - back, 1);
      }
      this.#lines.push(line);
      last = line.n;
    }
    this.received += this.#lines.length - before;
    this.dropped += lost;
    const excess = this.length - this.capacity;
    if (excess > 0) {
      this.#start += excess;
      this.dropped += excess;
      if (this.#start > this.capacity) {
        this.#lines = this.#lines.slice(this.#start);
        this.#start = 0;
      }
    }
    this.#notify();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At once, and then at most five times a second, however many batches come. */
  #notify(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const run = () => {
      this.#scheduled = false;
      this.#told = performance.now();
      for (const listener of this.#listeners) listener();
    };
    // A hidden page gets no frames; its views are brought up to date when it is shown.
    const draw = () => (typeof requestAnimationFrame === 'function' && !document.hidden ? requestAnimationFrame(run) : setTimeout(run, 0));
    const pause = this.#told + PAUSE_MS - performance.now();
    if (pause > 0) setTimeout(draw, pause);
    else draw();
  }
}
