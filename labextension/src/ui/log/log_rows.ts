/** Which rows a log shows, which of them match a search, and where each one is. */
import type { LogLine, Stage, Step } from '../../protocol';
import type { LogBuffer } from './log_buffer';
import { ESCAPED, plain } from './log_text';

export const ROW = 20; // pixels: one line that is not wrapped
export const HEADING = 24; // pixels

export interface HeadingRow { stage: Stage; lines: number; folded: boolean }
export interface StepRow { stage: Stage; step: Step; at: number }
/** A line is a row itself: a log has 100,000 of them. */
export type Row = HeadingRow | StepRow | LogLine;

export const isLine = (row: Row): row is LogLine => 'n' in row;
export const isStep = (row: Row): row is StepRow => 'step' in row && !isLine(row);
const isHeading = (row: Row): row is HeadingRow => 'folded' in row;

export interface Filter { stages?: Stage[]; stage: string; revision: string; level: string; folds: Record<string, boolean> }

/** Without stages the lines as they came; with them below the heading of their stage, in the order of the stages. */
export function listRows(buffer: LogBuffer, { stages, stage: only, revision, level, folds }: Filter): Row[] {
  const passes = (line: LogLine) => (!level || line.level === 'error' || line.level === level) && (!revision || String(line.revision) === revision);
  const rows: Row[] = [];
  const byStage = new Map<string, Row[]>();
  let stage: string | undefined;
  let list = rows; // of the stage of the line before: lines of one stage come one after the other
  for (let index = 0; index < buffer.length; index++) {
    const line = buffer.at(index);
    if (!passes(line)) continue;
    if (stages && line.stage !== stage) {
      stage = line.stage;
      list = byStage.get(stage) ?? [];
      byStage.set(stage, list);
    }
    list.push(line);
  }
  if (!stages) return rows;
  const add = (lines: Row[]) => {
    for (const line of lines) rows.push(line);
  };
  if (!only) add(byStage.get('') ?? []);
  for (const one of stages) {
    const lines = byStage.get(one.id) ?? [];
    if ((only && only !== one.id) || (!lines.length && one.state !== 'running' && one.state !== 'failed')) continue;
    const folded = !level && (folds[one.id] ?? (only !== one.id && one.state === 'done' && one.warnings === 0));
    rows.push({ stage: one, lines: lines.length, folded });
    if (!folded) add(one.steps?.length ? withSteps(one, lines as LogLine[]) : lines);
  }
  return rows;
}

/** The lines of a stage below the headings of its steps. A step that printed nothing has its heading all the same. */
function withSteps(stage: Stage, lines: LogLine[]): Row[] {
  const rows: Row[] = [];
  const steps = stage.steps ?? [];
  let next = 0; // the first step without a heading
  const head = (until: number) => {
    for (; next < until; next++) rows.push({ stage, step: steps[next]!, at: next });
  };
  for (const line of lines) {
    const at = line.step ? steps.findIndex(step => step.title === line.step) : -1;
    head(at >= 0 ? at + 1 : line.step || !next ? next : steps.length);
    rows.push(line);
  }
  head(steps.length);
  return rows;
}

/** A search as a pattern: every character means itself, letter case does not count. Null for an empty one. */
export function searchPattern(search: string): RegExp | null {
  return search ? new RegExp(`(${search.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`, 'i') : null;
}

/** The rows that a search finds: by their text as it is shown, their source, or their request id as a whole. */
export function findMatches(rows: Row[], search: string): number[] {
  const pattern = searchPattern(search);
  if (!pattern) return [];
  const id = search.toLowerCase();
  const found: number[] = [];
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]!;
    if (!isLine(row)) continue;
    const text = ESCAPED.test(row.text) ? plain(row.text) : row.text;
    if (pattern.test(text) || (row.requestId && row.requestId.toLowerCase() === id) || (row.source && pattern.test(row.source))) found.push(at);
  }
  return found;
}

/** The heading under which row `at` stands; null without one. */
export function headingOf(rows: Row[], at: number): HeadingRow | null {
  for (let index = Math.min(at, rows.length - 1); index >= 0; index--) {
    const row = rows[index]!;
    if (isHeading(row)) return row;
  }
  return null;
}

/** Where `row`, or what stands for it in a new list, is now: its heading when it was folded away. -1 when it is gone. */
export function findRow(rows: Row[], row: Row): number {
  if (isLine(row)) {
    const at = rows.indexOf(row);
    if (at >= 0) return at;
  }
  if (isStep(row)) {
    const at = rows.findIndex(one => isStep(one) && one.stage.id === row.stage.id && one.at === row.at);
    if (at >= 0) return at;
  }
  const id = isLine(row) ? row.stage : row.stage.id;
  return rows.findIndex(one => isHeading(one) && one.stage.id === id);
}

/** Where rows are. `heightOf` says how high a wrapped line is; without it all lines are equally high. */
export class Layout {
  readonly #tops: Float64Array;
  readonly #length: number;

  constructor(rows: Row[], heightOf?: (line: LogLine) => number) {
    this.#length = rows.length;
    this.#tops = new Float64Array(rows.length + 1);
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      this.#tops[at + 1] = this.#tops[at]! + (isLine(row) ? (heightOf?.(row) ?? ROW) : isStep(row) ? ROW : HEADING);
    }
  }

  get total(): number {
    return this.#tops[this.#length]!;
  }

  top(at: number): number {
    return this.#tops[Math.min(Math.max(0, at), this.#length)]!;
  }

  /** The row at this height, in pixels from the top; the number of rows below the last one. */
  at(y: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1]! <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
