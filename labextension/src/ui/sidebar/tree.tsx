import type { ComponentChildren, HTMLAttributes } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Row } from './rows';

const ROW = 24; // pixels, as --mld-row
const OVERSCAN = 8; // rows drawn above and below those in view
const TYPING = 700; // milliseconds after which typed letters begin anew
const UNKNOWN_HEIGHT = 600; // pixels drawn before the size is known

export interface TreeProps {
  label: string;
  rows: Row[];
  /** The key of the row that is marked. */
  chosen?: string;
  stale?: boolean;
  /** Its name for screen readers, which see neither colour nor place. */
  describe: (row: Row) => string;
  draw: (row: Row) => ComponentChildren;
  /** What stands below a row, such as a question; null for nothing. */
  below: (row: Row) => ComponentChildren | null;
  onOpen: (row: Row, open: boolean) => void;
  onChoose: (row: Row) => void;
  onMenu: (row: Row, at: { x: number; y: number }) => void;
  attributes?: (row: Row) => HTMLAttributes<HTMLDivElement>;
  /** Is given what focuses a row. */
  focusRef?: { current: ((key: string) => void) | null };
}

/**
 * A tree of which only the rows in view are drawn, and the one with the focus: one stop in the focus order. Arrows move,
 * Right and Left open and close, letters lead to a name, Enter chooses, the menu key and Shift F10 open the menu.
 */
export function Tree(props: TreeProps) {
  const { rows } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, height: UNKNOWN_HEIGHT });
  const [active, setActive] = useState('');
  const [extra, setExtra] = useState<Record<string, number>>({}); // heights of what stands below rows
  const lastAt = useRef(0);
  const focused = useRef<Element | null>(null); // what has the focus within the tree
  const wanted = useRef(false); // the active row takes the focus when it is drawn
  const typed = useRef({ text: '', at: 0 });

  // The row that has the focus may go: its neighbour takes its place.
  let at = rows.findIndex(row => row.key === active);
  if (at < 0) at = Math.max(0, Math.min(lastAt.current, rows.length - 1));
  lastAt.current = at;
  const current = rows[at];

  // Where rows begin. Few have something below them, so the sum is over these only.
  const below = rows.map((row, index) => ({ index, content: props.below(row) })).filter(one => one.content !== null);
  const raised = below.map(({ index }) => ({ index, height: extra[rows[index]!.key] ?? 0 }));
  const topOf = (index: number) => raised.reduce((top, one) => (one.index < index ? top + one.height : top), index * ROW);
  const total = topOf(rows.length);
  const indexAt = (top: number) => {
    let index = Math.min(rows.length - 1, Math.floor(top / ROW));
    while (index > 0 && topOf(index) > top) index -= 1;
    return Math.max(0, index);
  };
  const drawn = new Set<number>();
  const from = Math.max(0, indexAt(view.first * ROW) - OVERSCAN);
  const to = Math.min(rows.length - 1, indexAt(view.first * ROW + view.height) + OVERSCAN);
  for (let index = from; index <= to; index++) drawn.add(index);
  if (rows.length) drawn.add(at);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const look = () => setView(before => ({ ...before, height: element.clientHeight || UNKNOWN_HEIGHT }));
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const reveal = (index: number) => {
    const element = scroller.current;
    if (!element) return;
    const top = topOf(index);
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW - element.clientHeight;
  };
  const rowElement = () => scroller.current?.querySelector<HTMLElement>('[role=treeitem][tabindex="0"]');
  const move = (index: number) => {
    const row = rows[Math.max(0, Math.min(index, rows.length - 1))];
    if (!row) return;
    reveal(rows.indexOf(row));
    if (row.key === current?.key) return rowElement()?.focus({ preventScroll: true });
    wanted.current = true;
    setActive(row.key);
  };
  if (props.focusRef) props.focusRef.current = key => move(rows.findIndex(row => row.key === key));

  useLayoutEffect(() => {
    const lost = focused.current && !focused.current.isConnected;
    if (!wanted.current && !lost) return;
    wanted.current = false;
    focused.current = null;
    rowElement()?.focus({ preventScroll: true });
  });

  const menuAt = (row: Row, element: Element | null | undefined) => {
    const box = element?.getBoundingClientRect();
    const rtl = element ? getComputedStyle(element).direction === 'rtl' : false;
    props.onMenu(row, { x: (rtl ? box?.right : box?.left) ?? 0, y: (box?.top ?? 0) + ROW });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const at = rows.findIndex(row => row.key === (event.target as HTMLElement).dataset['key']);
    const current = rows[at];
    if (!current) return;
    const rtl = getComputedStyle(event.currentTarget as Element).direction === 'rtl';
    const forward = event.key === (rtl ? 'ArrowLeft' : 'ArrowRight');
    const back = event.key === (rtl ? 'ArrowRight' : 'ArrowLeft');
    const page = Math.max(1, Math.floor(view.height / ROW) - 1);
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + page, PageUp: at - page };
    if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) menuAt(current, event.target as Element);
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key in steps) move(steps[event.key]!);
    else if (forward) {
      if (current.open === false) props.onOpen(current, true);
      else if (rows[at + 1]?.parent === current.key) move(at + 1);
    } else if (back) {
      if (current.open) props.onOpen(current, false);
      else if (current.parent) move(rows.findIndex(row => row.key === current.parent));
    } else if (event.key === 'Enter' || (event.key === ' ' && Date.now() - typed.current.at > TYPING)) props.onChoose(current);
    else if (event.key.length === 1) typeAhead(event.key, at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const typeAhead = (letter: string, at: number) => {
    const now = Date.now();
    const before = now - typed.current.at < TYPING ? typed.current.text : '';
    const text = before + letter.toLowerCase();
    typed.current = { text, at: now };
    // The same letter again leads to the next one; more letters look from here on.
    const same = [...text].every(one => one === text[0]);
    const start = same ? at + 1 : at;
    const search = same ? text[0]! : text;
    for (let step = 0; step < rows.length; step++) {
      const index = (start + step) % rows.length;
      if (rows[index]!.label.toLowerCase().startsWith(search)) return move(index);
    }
  };

  return (
    <div
      class={props.stale ? 'mld-Side-list mld-mod-stale' : 'mld-Side-list'}
      ref={scroller}
      onScroll={event => {
        const first = Math.floor(event.currentTarget.scrollTop / ROW);
        setView(before => (before.first === first ? before : { ...before, first }));
      }}
    >
      <div
        class="mld-Side-rows"
        style={{ blockSize: `${total}px` }}
        onFocusIn={event => {
          focused.current = event.target as Element;
        }}
        onFocusOut={({ target }) => {
          // What is taken away with the focus has not been left: the row gets it. The browser says so before it is gone.
          queueMicrotask(() => {
            if (focused.current === target && (target as Element).isConnected) focused.current = null;
          });
        }}
      >
        <div role="tree" aria-label={props.label} class="mld-Side-tree" onKeyDown={onKeyDown}>
          {[...drawn].sort((one, other) => one - other).map(index => {
            const row = rows[index]!;
            return (
              <div
                key={row.key}
                role="treeitem"
                class="mld-Node"
                data-kind={row.kind}
                data-key={row.key}
                aria-label={props.describe(row)}
                aria-level={row.depth + 1}
                aria-posinset={row.position}
                aria-setsize={row.size}
                aria-expanded={row.open ?? undefined}
                aria-selected={row.kind === 'service' || row.kind === 'version' ? row.key === props.chosen : undefined}
                tabIndex={index === at ? 0 : -1}
                style={{ insetBlockStart: `${topOf(index)}px`, '--lvl': row.depth + (row.kind === 'service' ? 1.5 : row.kind === 'version' ? 0.375 : 0) }}
                onFocus={() => setActive(row.key)}
                onClick={() => {
                  move(index);
                  props.onChoose(row);
                }}
                onContextMenu={event => {
                  event.preventDefault();
                  event.stopPropagation();
                  setActive(row.key);
                  if (event.clientX || event.clientY) props.onMenu(row, { x: event.clientX, y: event.clientY });
                  else menuAt(row, event.currentTarget);
                }}
                {...props.attributes?.(row)}
              >
                {props.draw(row)}
              </div>
            );
          })}
        </div>
        {below.map(({ index, content }) => {
          const { key } = rows[index]!;
          return (
            <Below key={key} top={topOf(index) + ROW} onHeight={height => setExtra(before => (before[key] === height ? before : { ...before, [key]: height }))}>
              {content}
            </Below>
          );
        })}
      </div>
    </div>
  );
}

/** What stands below a row, as high as it is. */
function Below({ children, top, onHeight }: { children: ComponentChildren; top: number; onHeight: (height: number) => void }) {
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = root.current!;
    const measure = () => onHeight(element.offsetHeight);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return <div class="mld-Side-below" style={{ insetBlockStart: `${top}px` }} ref={root}>{children}</div>;
}
