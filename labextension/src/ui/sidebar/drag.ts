import type { HTMLAttributes } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Port } from '../../protocol';
import type { Row } from './rows';
import { CELLS, type Shell, dragData } from './shell';

const THRESHOLD = 5; // pixels that the pointer moves before a drag begins
const HOVER = 120; // milliseconds over a row after which its code is fetched
const KEPT = 500; // codes

/**
 * What makes rows of models and services draggable as the code that gets them. A drag must have its data when it begins,
 * so the code is fetched while the pointer rests on the row, and at the latest when it is pressed.
 */
export function useDrag(port: Port, shell: Shell, lost: boolean): (row: Row) => HTMLAttributes<HTMLDivElement> {
  const codes = useRef(new Map<string, Promise<string> | string>());
  const hover = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const stop = useRef<() => void>(() => undefined);
  useEffect(
    () => () => {
      clearTimeout(hover.current);
      stop.current();
    },
    [],
  );

  const codeOf = (row: Row): Promise<string> | string => {
    const known = codes.current.get(row.key);
    if (known !== undefined) return known;
    const asked = askCode(port, row).then(
      text => {
        codes.current.set(row.key, text);
        return text;
      },
      reason => {
        codes.current.delete(row.key);
        throw reason;
      },
    );
    asked.catch(() => undefined);
    if (codes.current.size >= KEPT) codes.current.clear();
    codes.current.set(row.key, asked);
    return asked;
  };

  /** Follows the pressed pointer; the drag begins once it has moved and the code is there. */
  const press = (row: Row, down: PointerEvent) => {
    if (down.button !== 0 || !shell.startDrag || (down.target as Element).closest('button')) return;
    let text = '';
    const ready = codeOf(row);
    let at: { clientX: number; clientY: number } | null = null;
    const begin = () => {
      if (!at || !text) return;
      stop.current();
      shell.startDrag?.(at, dragData(text), dragImage(row));
    };
    const move = (event: PointerEvent) => {
      if (!at && Math.abs(event.clientX - down.clientX) < THRESHOLD && Math.abs(event.clientY - down.clientY) < THRESHOLD) return;
      at = { clientX: event.clientX, clientY: event.clientY };
      begin();
    };
    stop.current();
    const end = () => stop.current();
    stop.current = () => {
      document.removeEventListener('pointermove', move, true);
      document.removeEventListener('pointerup', end, true);
      document.removeEventListener('pointercancel', end, true);
      stop.current = () => undefined;
    };
    document.addEventListener('pointermove', move, true);
    document.addEventListener('pointerup', end, true);
    document.addEventListener('pointercancel', end, true);
    Promise.resolve(ready).then(
      found => {
        text = found;
        begin();
      },
      end,
    );
  };

  return row => {
    if (lost || row.kind === 'workspace' || row.kind === 'target' || row.kind === 'state') return {};
    return {
      draggable: !shell.startDrag,
      onPointerEnter: () => {
        clearTimeout(hover.current);
        hover.current = setTimeout(() => void codeOf(row), HOVER);
      },
      onPointerLeave: () => clearTimeout(hover.current),
      onPointerDown: event => (shell.startDrag ? press(row, event) : void codeOf(row)),
      onDragStart: event => {
        const code = codes.current.get(row.key);
        if (typeof code !== 'string' || !event.dataTransfer) return event.preventDefault();
        event.dataTransfer.effectAllowed = 'copy';
        for (const [type, value] of Object.entries(dragData(code))) event.dataTransfer.setData(type, type === CELLS ? JSON.stringify(value) : String(value));
      },
    };
  };
}

async function askCode(port: Port, row: Row): Promise<string> {
  if (row.kind === 'service') return (await port.request('service.cell', { service: row.service.service, workspace: row.service.workspace })).text;
  const id = row.kind === 'version' ? row.version.id : row.kind === 'model' ? row.model.versions[0]?.id : undefined;
  if (!id || (row.kind !== 'model' && row.kind !== 'version')) throw new Error('nothing to drag');
  return (await port.request('model.cell', { model: id, workspace: row.model.workspace })).text;
}

/** What moves with the pointer: the name alone. */
function dragImage(row: Row): HTMLElement {
  const image = document.createElement('div');
  image.className = 'mld mld-Drag';
  image.textContent = row.kind === 'version' ? row.version.id : row.label;
  return image;
}
