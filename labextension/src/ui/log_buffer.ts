import type { LogLine } from '../protocol';

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

  /** Once a frame, however many batches came. */
  #notify(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const run = () => {
      this.#scheduled = false;
      for (const listener of this.#listeners) listener();
    };
    // A hidden page gets no frames; its views are brought up to date when it is shown.
    if (typeof requestAnimationFrame === 'function' && !document.hidden) requestAnimationFrame(run);
    else setTimeout(run, 0);
  }
}
