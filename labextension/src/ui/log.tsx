import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LogLine, Stage } from '../protocol';
import { clock, count, offset, plural } from './format';
import { Icon } from './icons';
import { LogBuffer } from './log_buffer';
import { parse, plain } from './log_text';
import { CopyButton, IconButton, Pick } from './parts';
import { STAGE_LOOKS } from './words';

const ROW = 20; // pixels: one line that is not wrapped
const HEADING = 24; // pixels
const OVERSCAN = 12; // rows drawn above and below those in view
const LONGEST = 4000; // characters of a line that are drawn; copy and download have all of them
const NEAR_END = 4; // pixels from the end within which the log still follows

export interface LogViewProps {
  buffer: LogBuffer;
  label: string;
  /** Of a deployment: headings, and the filter by stage. Without stages the log has revisions and clock times. */
  stages?: Stage[];
  revisions?: number[];
  /** Scrolls to this stage and opens it, whenever `at` changes. */
  goTo?: { stage: string; at: number };
  download: () => Promise<{ name: string; text: string }>;
  placeholder?: string;
  empty: string;
  height?: number;
}

interface HeadingRow { stage: Stage; lines: number; folded: boolean }
interface LineRow { line: LogLine }
type Row = HeadingRow | LineRow;

export function LogView(props: LogViewProps) {
  const { buffer, stages } = props;
  const version = useBuffer(buffer);
  const [stage, setStage] = useState('');
  const [revision, setRevision] = useState('');
  const [level, setLevel] = useState('');
  const [search, setSearch] = useState('');
  const [match, setMatch] = useState(0);
  const [wrap, setWrap] = useState(false);
  const [follow, setFollow] = useState(true);
  const [folds, setFolds] = useState<Record<string, boolean>>({});
  const [seen, setSeen] = useState(0); // the last line's number when following stopped
  const body = useRef<HTMLDivElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const view = useScroll(body);

  const rows = useMemo(
    () => listRows(buffer, { stages, stage, revision, level, folds }),
    [version, stages, stage, revision, level, folds],
  );
  const heights = useHeights(rows, wrap, view.width);
  const matches = useMemo(() => findMatches(rows, search), [rows, search]);
  const current = matches.length ? matches[Math.min(match, matches.length - 1)]! : -1;

  const scrollTo = (top: number) => {
    if (body.current) body.current.scrollTop = Math.max(0, top);
  };
  const toEnd = () => {
    setFollow(true);
    scrollTo(heights.total);
  };

  // Measured before new rows were drawn: was the end in view?
  useLayoutEffect(() => {
    if (follow) scrollTo(heights.total);
  }, [version, follow, heights.total]);

  const onScroll = () => {
    const element = body.current;
    if (!element) return;
    view.update();
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight <= NEAR_END;
    if (atEnd && !follow) setFollow(true);
    if (!atEnd && follow && view.movedUp()) {
      setFollow(false);
      setSeen(buffer.last);
    }
  };

  useEffect(() => {
    if (!props.goTo?.stage) return;
    setStage(before => (before && before !== props.goTo!.stage ? '' : before));
    setFolds(before => ({ ...before, [props.goTo!.stage]: false }));
    setFollow(false);
    setSeen(buffer.last);
    requestAnimationFrame(() => {
      const at = rowsNow.current.findIndex(row => 'stage' in row && row.stage.id === props.goTo!.stage);
      if (at >= 0) scrollTo(heightsNow.current.top(at));
    });
  }, [props.goTo?.at]);
  const rowsNow = useRef(rows);
  const heightsNow = useRef(heights);
  rowsNow.current = rows;
  heightsNow.current = heights;

  const showMatch = (to: number) => {
    if (!matches.length) return;
    const next = (to + matches.length) % matches.length;
    setMatch(next);
    setFollow(false);
    setSeen(buffer.last);
    scrollTo(heights.top(matches[next]!) - view.height / 2);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== body.current) return;
    if (event.key === 'f' || event.key === 'F') (follow ? setFollow(false) : toEnd());
    else if (event.key === 'w' || event.key === 'W') setWrap(!wrap);
    else if (event.key === '/') searchBox.current?.focus();
    else if (event.key === 'End') toEnd();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const text = () => rows.map(row => ('line' in row ? plain(row.line.text) : `${row.stage.title}:`)).join('\n');
  const fresh = follow ? 0 : Math.max(0, buffer.last - seen);
  const [first, last] = heights.range(view.top, view.height);
  const heading = first < rows.length ? headingBefore(rows, first) : null;

  return (
    <div class={wrap ? 'mld-Log mld-mod-wrap' : 'mld-Log'}>
      <div class="mld-Log-bar" role="group" aria-label="Log controls">
        {stages ? (
          <Pick label="Show stage" value={stage} onPick={setStage} options={[['', 'All stages'], ...stages.filter(one => one.lines || one.state !== 'not-needed').map(one => [one.id, one.title] as [string, string])]} />
        ) : (
          <Pick label="Show revision" value={revision} onPick={setRevision} options={[['', 'All revisions'], ...(props.revisions ?? []).map(one => [String(one), `Revision ${one}`] as [string, string])]} />
        )}
        <Pick label="Show level" value={level} onPick={setLevel} options={[['', 'All levels'], ['warning', 'Warnings'], ['error', 'Errors']]} optional />
        <span class="mld-Search">
          <Icon name="search" />
          <input
            class="mld-Input mld-mod-compact"
            type="search"
            aria-label="Search the log"
            placeholder={props.placeholder ?? 'Search'}
            value={search}
            ref={searchBox}
            onInput={event => {
              setSearch(event.currentTarget.value);
              setMatch(0);
            }}
            onKeyDown={event => {
              if (event.key === 'Enter') showMatch(matches.length && heights.visible(current, view) ? match + (event.shiftKey ? -1 : 1) : match);
              else if (event.key === 'Escape' && search) setSearch('');
              else return;
              event.preventDefault();
              event.stopPropagation();
            }}
          />
          {search ? (
            <span class="mld-Search-find">
              <span class="mld-Search-count" role="status"><bdi>{matches.length ? `${count(Math.min(match, matches.length - 1) + 1)} of ${count(matches.length)}` : 'None'}</bdi></span>
              <IconButton icon="up" label="Previous match" title="Previous match (Shift Enter)" onClick={() => showMatch(match - 1)} />
              <IconButton icon="down" label="Next match" title="Next match (Enter)" onClick={() => showMatch(match + 1)} />
            </span>
          ) : null}
        </span>
        <span class="mld-Sep" />
        <IconButton icon="wrap" label="Wrap lines" title="Wrap lines (W)" pressed={wrap} onClick={() => setWrap(!wrap)} />
        <IconButton
          icon="follow"
          label="Follow new lines"
          title="Follow new lines (F)"
          pressed={follow}
          onClick={() => {
            if (follow) {
              setFollow(false);
              setSeen(buffer.last);
            } else toEnd();
          }}
        />
        <span class="mld-Sep" />
        <CopyButton label="Copy the shown lines" copy={text} />
        <IconButton icon="download" label="Download the whole log" onClick={() => void save(props.download)} />
      </div>
      <div class="mld-Log-body" role="log" aria-live="off" aria-label={props.label} tabIndex={0} ref={body} onScroll={onScroll} onKeyDown={onKeyDown} style={props.height ? { blockSize: `${props.height}px` } : undefined}>
        {rows.length === 0 ? <p class="mld-Log-empty">{buffer.length ? 'No line passes the filter.' : props.empty}</p> : null}
        {heading ? <Heading row={heading} onFold={() => fold(heading)} /> : null}
        <div class="mld-Log-rows" style={{ blockSize: `${heights.total}px`, marginBlockStart: heading ? `-${HEADING}px` : 0 }}>
          <div style={{ transform: `translateY(${heights.top(first)}px)` }} ref={heights.measure} data-first={first}>
            {rows.slice(first, last).map((row, at) =>
              'stage' in row ? (
                <Heading key={`s${row.stage.id}`} row={row} onFold={() => fold(row)} />
              ) : (
                <Line key={row.line.n} line={row.line} clockTime={!stages} search={search} current={first + at === current} />
              ),
            )}
          </div>
        </div>
        {buffer.dropped ? <p class="mld-VisuallyHidden">{`${plural(buffer.dropped, 'earlier line')} only in the download`}</p> : null}
      </div>
      {fresh > 0 ? (
        <button type="button" class="mld-Btn mld-Log-more" onClick={toEnd}><Icon name="follow" />{plural(fresh, 'new line')}</button>
      ) : null}
    </div>
  );

  function fold(row: HeadingRow) {
    setFolds({ ...folds, [row.stage.id]: !row.folded });
    if (follow) {
      setFollow(false);
      setSeen(buffer.last);
    }
  }
}

function Heading({ row, onFold }: { row: HeadingRow; onFold: () => void }) {
  const look = STAGE_LOOKS[row.stage.state];
  return (
    <button type="button" class="mld-Log-stage" aria-expanded={!row.folded} onClick={onFold}>
      <Icon name="chevron" />
      <Icon name={look.icon} />
      {row.stage.title}
      <span class="mld-Muted">&nbsp;{plural(row.lines, 'line')}</span>
    </button>
  );
}

const LEVELS = { warning: 'warning', error: 'failed' } as const;

function Line({ line, clockTime, search, current }: { line: LogLine; clockTime: boolean; search: string; current: boolean }) {
  const time = clockTime ? clock(line.time, true) : line.elapsedSeconds === null ? '' : offset(line.elapsedSeconds);
  const level = line.level === 'warning' || line.level === 'error' ? line.level : undefined;
  const cut = line.text.length > LONGEST;
  return (
    <div class="mld-Line" data-level={level} data-n={line.n}>
      <time>{time}</time>
      {level ? <Icon name={LEVELS[level]} label={level} /> : null}
      <span>
        {line.source ? <span class="mld-Sgr-dim">{line.source}{'  '}</span> : null}
        <Text raw={cut ? line.text.slice(0, LONGEST) : line.text} search={search} current={current} />
        {cut ? <span class="mld-Sgr-dim"> … {count(line.text.length - LONGEST)} more characters in the download</span> : null}
      </span>
    </div>
  );
}

function Text({ raw, search, current }: { raw: string; search: string; current: boolean }) {
  const runs = parse(raw);
  let marked = false;
  return (
    <>
      {runs.map(run => {
        const classes = [run.colour && `mld-Sgr-${run.colour}`, run.dim && 'mld-Sgr-dim', run.bold && 'mld-Sgr-bold'].filter(Boolean).join(' ');
        const parts = search ? splitMatches(run.text, search) : [run.text];
        const inner = parts.map((part, at) => {
          if (at % 2 === 0) return part;
          const first = current && !marked;
          marked ||= first;
          return <mark aria-current={first ? 'true' : undefined}>{part}</mark>;
        });
        return classes ? <span class={classes}>{inner}</span> : <>{inner}</>;
      })}
    </>
  );
}

/** Odd parts are the matches; letter case does not count. */
function splitMatches(text: string, search: string): string[] {
  const parts: string[] = [];
  const lower = text.toLowerCase();
  const wanted = search.toLowerCase();
  if (lower.length !== text.length) return [text]; // some letters change their length: nothing to mark safely
  let at = 0;
  for (let found = lower.indexOf(wanted); found >= 0; found = lower.indexOf(wanted, at)) {
    parts.push(text.slice(at, found), text.slice(found, found + wanted.length));
    at = found + wanted.length;
  }
  return [...parts, text.slice(at)];
}

function isFolded(stage: Stage, folds: Record<string, boolean>, only: string): boolean {
  return folds[stage.id] ?? (only !== stage.id && stage.state === 'done' && stage.warnings === 0);
}

function listRows(buffer: LogBuffer, filter: { stages?: Stage[]; stage: string; revision: string; level: string; folds: Record<string, boolean> }): Row[] {
  const rows: Row[] = [];
  const passes = (line: LogLine) =>
    (!filter.level || line.level === 'error' || line.level === filter.level) &&
    (!filter.revision || String(line.revision) === filter.revision);
  if (!filter.stages) {
    for (let index = 0; index < buffer.length; index++) {
      const line = buffer.at(index);
      if (passes(line)) rows.push({ line });
    }
    return rows;
  }
  const byStage = new Map<string, LineRow[]>();
  for (let index = 0; index < buffer.length; index++) {
    const line = buffer.at(index);
    if (!passes(line)) continue;
    const of = byStage.get(line.stage);
    if (of) of.push({ line });
    else byStage.set(line.stage, [{ line }]);
  }
  rows.push(...(filter.stage ? [] : (byStage.get('') ?? [])));
  for (const stage of filter.stages) {
    const lines = byStage.get(stage.id) ?? [];
    if ((filter.stage && filter.stage !== stage.id) || (!lines.length && stage.state !== 'running' && stage.state !== 'failed')) continue;
    const folded = isFolded(stage, filter.folds, filter.stage) && !filter.level;
    rows.push({ stage, lines: lines.length, folded });
    if (!folded) for (const row of lines) rows.push(row);
  }
  return rows;
}

function findMatches(rows: Row[], search: string): number[] {
  if (!search) return [];
  const wanted = search.toLowerCase();
  const found: number[] = [];
  rows.forEach((row, at) => {
    if (!('line' in row)) return;
    const { text, requestId, source } = row.line;
    const raw = text.includes('\x1b') || text.includes('\r') ? plain(text) : text;
    if (raw.toLowerCase().includes(wanted) || requestId.toLowerCase() === wanted || source.toLowerCase().includes(wanted)) found.push(at);
  });
  return found;
}

function headingBefore(rows: Row[], first: number): HeadingRow | null {
  for (let at = first; at >= 0; at--) {
    const row = rows[at]!;
    if ('stage' in row) return at === first ? null : row;
  }
  return null;
}

function useBuffer(buffer: LogBuffer): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    setVersion(before => before + 1); // lines may have come between drawing and now
    return buffer.onChange(() => setVersion(before => before + 1));
  }, [buffer]);
  return version;
}

interface View { top: number; height: number; width: number }

function useScroll(body: { current: HTMLDivElement | null }): View & { update: () => void; movedUp: () => boolean } {
  const [view, setView] = useState<View>({ top: 0, height: 260, width: 800 });
  const tops = useRef<[number, number]>([0, 0]);
  const update = () => {
    const element = body.current;
    if (!element) return;
    tops.current = [tops.current[1], element.scrollTop];
    setView(before => {
      const next = { top: element.scrollTop, height: element.clientHeight || before.height, width: element.clientWidth || before.width };
      return next.top === before.top && next.height === before.height && next.width === before.width ? before : next;
    });
  };
  useLayoutEffect(() => {
    update();
    if (typeof ResizeObserver === 'undefined' || !body.current) return undefined;
    const observer = new ResizeObserver(update);
    observer.observe(body.current);
    return () => observer.disconnect();
  }, []);
  return { ...view, update, movedUp: () => tops.current[1] < tops.current[0] };
}

/** Where rows are. Without wrapping all lines are equally high; with it their height is measured when they are drawn. */
function useHeights(rows: Row[], wrap: boolean, width: number) {
  const measured = useRef(new Map<number, number>());
  const [, redraw] = useState(0);
  const key = useRef('');
  if (key.current !== `${wrap} ${width}`) {
    key.current = `${wrap} ${width}`;
    measured.current.clear();
  }
  const perRow = Math.max(20, Math.floor((width - 112) / 7.3)); // characters in a wrapped row, about
  const tops = new Float64Array(rows.length + 1);
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]!;
    let height = HEADING;
    if ('line' in row) {
      height = ROW;
      if (wrap) height = measured.current.get(row.line.n) ?? ROW * Math.max(1, Math.ceil(Math.min(row.line.text.length, LONGEST) / perRow));
    }
    tops[at + 1] = tops[at]! + height;
  }
  const find = (y: number) => {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1]! <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    total: tops[rows.length]!,
    top: (at: number) => tops[Math.min(Math.max(0, at), rows.length)]!,
    range: (top: number, height: number): [number, number] => [
      Math.max(0, Math.min(find(top), rows.length) - OVERSCAN),
      Math.min(rows.length, find(top + height) + OVERSCAN),
    ],
    visible: (at: number, view: View) => at >= 0 && tops[at]! >= view.top && tops[at + 1]! <= view.top + view.height,
    measure: (element: HTMLDivElement | null) => {
      if (!element || !wrap) return;
      let changed = false;
      for (const child of element.children) {
        const n = Number((child as HTMLElement).dataset['n']);
        const height = (child as HTMLElement).offsetHeight;
        if (n && height && measured.current.get(n) !== height) {
          measured.current.set(n, height);
          changed = true;
        }
      }
      if (changed) queueMicrotask(() => redraw(before => before + 1));
    },
  };
}

async function save(read: () => Promise<{ name: string; text: string }>): Promise<void> {
  const { name, text } = await read();
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
