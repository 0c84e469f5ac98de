import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Failure, LogLine, Stage } from '../../protocol';
import { clock, count, duration, offset } from '../format';
import { icon } from '../icons';
import type { LogBuffer } from './log_buffer';
import { HEADING, type HeadingRow, Layout, ROW, type Row, findMatches, type StepRow, findRow, headingOf, isLine, isStep, listRows, searchPattern } from './log_rows';
import { parse, plain } from './log_text';
import { CopyButton, FailureMessage, IconButton, Pick, consume, withValue } from '../parts';
import { asFailure } from '../port_context';
import { plural, t, translated } from '../translation';
import { STAGE_LOOKS } from '../words';

const OVERSCAN = 12; // rows drawn above and below those in view
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
  const [seen, setSeen] = useState(0); // lines that had come when following stopped
  const [failure, setFailure] = useState<Failure | null>(null);
  const body = useRef<HTMLDivElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const view = useScroll(body);

  const rows = useMemo(
    () => listRows(buffer, { stages, stage, revision, level, folds }),
    [version, stages, stage, revision, level, folds],
  );
  const { layout, measure } = useLayout(rows, wrap, view.width);
  const matches = useMemo(() => findMatches(rows, search), [rows, search]);
  const current = matches.length ? matches[Math.min(match, matches.length - 1)]! : -1;

  const scrollTo = (top: number) => {
    if (body.current) body.current.scrollTop = Math.max(0, top);
  };
  const toEnd = () => {
    setFollow(true);
    scrollTo(layout.total);
  };
  const stay = () => {
    setFollow(false);
    setSeen(buffer.received);
  };

  // The end stays in view while the log follows, else the row at the top: whatever is added or folded above it.
  const anchor = useRef<{ row: Row; below: number } | null>(null);
  const keepAnchor = (top: number) => {
    const at = layout.at(top);
    anchor.current = at < rows.length ? { row: rows[at]!, below: top - layout.top(at) } : null;
  };
  useLayoutEffect(() => {
    if (follow) {
      scrollTo(layout.total);
    } else if (anchor.current) {
      const { row, below } = anchor.current;
      const at = findRow(rows, row);
      const same = at >= 0 && isLine(rows[at]!) === isLine(row);
      if (at >= 0) scrollTo(layout.top(at) + (same ? below : 0));
    }
  }, [rows, follow, layout.total]);

  const onScroll = () => {
    const element = body.current;
    if (!element) return;
    view.update();
    keepAnchor(element.scrollTop);
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight <= NEAR_END;
    if (atEnd && !follow) setFollow(true);
    if (!atEnd && follow && view.movedUp()) stay();
  };

  useEffect(() => {
    if (!props.goTo?.stage) return;
    setStage(before => (before && before !== props.goTo!.stage ? '' : before));
    setFolds(before => ({ ...before, [props.goTo!.stage]: false }));
    stay();
    requestAnimationFrame(() => {
      const at = now.current.rows.findIndex(row => !isLine(row) && !isStep(row) && row.stage.id === props.goTo!.stage);
      if (at >= 0) scrollTo(now.current.layout.top(at));
    });
  }, [props.goTo?.at]);
  const now = useRef({ rows, layout });
  now.current = { rows, layout };

  const showMatch = (to: number) => {
    if (!matches.length) return;
    const next = (to + matches.length) % matches.length;
    setMatch(next);
    stay();
    scrollTo(layout.top(matches[next]!) - view.height / 2);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== body.current) return;
    if (event.key === 'f' || event.key === 'F') (follow ? stay() : toEnd());
    else if (event.key === 'w' || event.key === 'W') setWrap(!wrap);
    else if (event.key === '/') searchBox.current?.focus();
    else if (event.key === 'End') toEnd();
    else return;
    consume(event);
  };

  const text = () => rows.map(row => (isLine(row) ? plain(row.text) + (row.cut ? moreWord(row.cut) : '') : isStep(row) ? `  ${row.step.title}` : `${translated(row.stage.title)}:`)).join('\n');
  const fresh = follow ? 0 : Math.max(0, buffer.received - seen);
  const top = layout.at(view.top);
  const first = Math.max(0, Math.min(top, rows.length) - OVERSCAN);
  const last = Math.min(rows.length, layout.at(view.top + view.height) + OVERSCAN);
  // The heading of the row at the top stays in view, in the place of its own row.
  const heading = stages && top < rows.length && (isLine(rows[top]!) || isStep(rows[top]!) || layout.top(top) < view.top) ? headingOf(rows, top) : null;
  const next = [top + 1, top + 2].find(at => at < rows.length && !isLine(rows[at]!) && !isStep(rows[at]!));
  const pushed = next === undefined ? 0 : Math.min(0, layout.top(next) - view.top - HEADING); // by the next heading
  const inView = current >= 0 && layout.top(current) >= view.top && layout.top(current + 1) <= view.top + view.height;

  return (
    <div class={wrap ? 'mld-Log mld-mod-wrap' : 'mld-Log'}>
      <div class="mld-Log-bar" role="group" aria-label={t`Log controls`}>
        {stages ? (
          <Pick label={t`Show stage`} value={stage} onPick={setStage} options={[['', t`All stages`], ...stages.filter(one => one.lines || one.state !== 'not-needed').map(one => [one.id, translated(one.title)] as [string, string])]} />
        ) : (
          <Pick label={t`Show revision`} value={revision} onPick={setRevision} options={[['', t`All revisions`], ...(props.revisions ?? []).map(one => [String(one), t`Revision ${one}`] as [string, string])]} />
        )}
        <Pick label={t`Show level`} value={level} onPick={setLevel} options={[['', t`All levels`], ['warning', t`Warnings`], ['error', t`Errors`]]} optional />
        <span class="mld-Search">
          {icon('search')}
          <input
            class="mld-Input mld-mod-compact"
            type="search"
            aria-label={t`Search the log`}
            placeholder={props.placeholder ?? t`Search`}
            value={search}
            ref={searchBox}
            onInput={withValue(typed => {
              setSearch(typed);
              setMatch(0);
            })}
            onKeyDown={event => {
              if (event.key === 'Enter') showMatch(inView ? match + (event.shiftKey ? -1 : 1) : match);
              else if (event.key === 'Escape' && search) setSearch('');
              else return;
              consume(event);
            }}
          />
          {search && (
            <span class="mld-Search-find">
              <span class="mld-Search-count" role="status"><bdi>{matches.length ? t`${count(Math.min(match, matches.length - 1) + 1)} of ${count(matches.length)}` : t`None`}</bdi></span>
              <IconButton icon="up" label={t`Previous match`} title={t`Previous match (Shift Enter)`} onClick={() => showMatch(match - 1)} />
              <IconButton icon="down" label={t`Next match`} title={t`Next match (Enter)`} onClick={() => showMatch(match + 1)} />
            </span>
          )}
        </span>
        <span class="mld-Sep" />
        <IconButton icon="wrap" label={t`Wrap lines`} title={t`Wrap lines (W)`} pressed={wrap} onClick={() => setWrap(!wrap)} />
        <IconButton
          icon="follow"
          label={t`Follow new lines`}
          title={t`Follow new lines (F)`}
          pressed={follow}
          onClick={() => (follow ? stay() : toEnd())}
        />
        <span class="mld-Sep" />
        <CopyButton label={t`Copy the shown lines`} copy={text} />
        <IconButton icon="download" label={t`Download the whole log`} onClick={() => save(props.download).then(() => setFailure(null), reason => setFailure(asFailure(reason)))} />
      </div>
      <div class="mld-Log-body" dir="ltr" role="log" aria-live="off" aria-label={props.label} tabIndex={0} ref={body} onScroll={onScroll} onKeyDown={onKeyDown} style={props.height ? { blockSize: `${props.height}px` } : undefined}>
        {rows.length === 0 && <p class="mld-Log-empty">{buffer.length ? t`No line passes the filter.` : props.empty}</p>}
        {heading && <div class="mld-Log-pinned" aria-hidden="true" style={{ insetBlockStart: `${pushed}px` }}><Heading copy row={heading} onFold={() => fold(heading)} /></div>}
        <div class="mld-Log-rows" style={{ blockSize: `${layout.total}px` }}>
          <div style={{ insetBlockStart: `${layout.top(first)}px` }} ref={measure}>
            {rows.slice(first, last).map((row, at) => {
              if (isLine(row)) return <Line key={row.n} line={row} clockTime={!stages} search={search} current={first + at === current} />;
              if (isStep(row)) return <StepHeading key={`p${row.stage.id}${row.at}`} row={row} />;
              return <Heading key={`s${row.stage.id}`} row={row} onFold={() => fold(row)} />;
            })}
          </div>
        </div>
      </div>
      {buffer.dropped > 0 && <p class="mld-Log-dropped">{t`${plural(buffer.dropped, 'earlier line')} only in the download.`}</p>}
      <FailureMessage failure={failure} onDismiss={() => setFailure(null)} />
      {fresh > 0 && (
        <button type="button" class="mld-Btn mld-Log-more" onClick={toEnd}>{icon('follow')}{plural(fresh, 'new line')}</button>
      )}
    </div>
  );

  function fold(row: HeadingRow) {
    setFolds({ ...folds, [row.stage.id]: !row.folded });
    if (follow) stay();
  }
}

/** `copy` is for the pointer only: its row is there for the keyboard. */
function Heading({ row, onFold, copy }: { row: HeadingRow; onFold: () => void; copy?: boolean }) {
  const look = STAGE_LOOKS[row.stage.state];
  return (
    <button type="button" class="mld-Log-stage" tabIndex={copy ? -1 : undefined} aria-expanded={!row.folded} onClick={onFold}>
      {icon('chevron')}
      {icon(look.icon)}
      {translated(row.stage.title)}
      <span class="mld-Muted">&nbsp;{plural(row.lines, 'line')}</span>
    </button>
  );
}

/** A step of the stage above it, with its own progress while it runs. */
function StepHeading({ row: { step } }: { row: StepRow }) {
  const look = STAGE_LOOKS[step.state];
  const percent = step.state === 'running' && step.fraction !== null ? Math.round(100 * Math.min(1, Math.max(0, step.fraction))) : null;
  return (
    <div class="mld-Log-step" data-state={look.state}>
      {icon(look.icon, { spin: look.spin })}
      <span class="mld-Cut" title={step.title}>{step.title}<span class="mld-VisuallyHidden">, {translated(look.word).toLowerCase()}</span></span>
      <span class="mld-Muted">{percent !== null ? `${percent} %` : duration(step.seconds)}</span>
    </div>
  );
}

const moreWord = (characters: number) => ` … ${t`${count(characters)} more characters in the download`}`;

function Line({ line, clockTime, search, current }: { line: LogLine; clockTime: boolean; search: string; current: boolean }) {
  const time = clockTime ? clock(line.time, true) : line.elapsedSeconds === null ? '' : offset(line.elapsedSeconds);
  const level = /^[we]/.test(line.level) ? line.level : undefined; // warning or error
  return (
    <div class="mld-Line" data-level={level} data-n={line.n}>
      <time>{time}</time>
      {level && icon(level === 'error' ? 'failed' : 'warning', { label: level === 'error' ? t`error` : t`warning` })}
      <span>
        {line.source && <span class="mld-Sgr-dim">{line.source}{'  '}</span>}
        <Text raw={line.text} search={search} current={current} />
        {!!line.cut && <span class="mld-Sgr-dim">{moreWord(line.cut)}</span>}
      </span>
    </div>
  );
}

function Text({ raw, search, current }: { raw: string; search: string; current: boolean }) {
  const runs = parse(raw);
  const pattern = searchPattern(search);
  let marked = false;
  return (
    <>
      {runs.map(run => {
        const classes = [run.colour && `mld-Sgr-${run.colour}`, run.dim && 'mld-Sgr-dim', run.bold && 'mld-Sgr-bold'].filter(Boolean).join(' ');
        const parts = pattern ? run.text.split(pattern) : [run.text]; // odd parts are the matches
        const inner = parts.map((part, at) => {
          if (at % 2 === 0) return part;
          const first = current && !marked;
          marked ||= first;
          return <mark aria-current={first ? 'true' : undefined}>{part}</mark>;
        });
        return <span class={classes}>{inner}</span>;
      })}
    </>
  );
}

function useBuffer(buffer: LogBuffer): number {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const redraw = () => setVersion(before => before + 1);
    redraw(); // lines may have come between drawing and now
    return buffer.onChange(redraw);
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

/** Where rows are. A wrapped line's height is measured when it is drawn, and estimated until then. */
function useLayout(rows: Row[], wrap: boolean, width: number) {
  const measured = useRef(new Map<number, number>());
  const [version, redraw] = useState(0);
  const key = useRef('');
  if (key.current !== `${wrap} ${width}`) {
    key.current = `${wrap} ${width}`;
    measured.current.clear();
  }
  const layout = useMemo(() => {
    const perRow = Math.max(20, Math.floor((width - 112) / 7.3)); // characters in a wrapped row, about
    const heightOf = (line: LogLine) => measured.current.get(line.n) ?? ROW * Math.max(1, Math.ceil(line.text.length / perRow));
    return new Layout(rows, wrap ? heightOf : undefined);
  }, [rows, wrap, width, version]);
  const measure = (element: HTMLDivElement | null) => {
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
  };
  return { layout, measure };
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
