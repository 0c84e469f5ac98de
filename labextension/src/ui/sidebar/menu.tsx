import { useLayoutEffect, useRef } from 'preact/hooks';

export interface Action { id: string; label: string; act: () => void; danger?: boolean; apart?: boolean } // apart: a line above it

export interface OpenMenu { key: string; label: string; items: Action[]; x: number; y: number }

/** A menu at a point, in the browser's top layer: nothing around it cuts it off. Arrows, letters, Enter, Escape. */
export function ContextMenu({ menu, onClose }: { menu: OpenMenu; onClose: (focus: boolean) => void }) {
  const root = useRef<HTMLDivElement>(null);
  const entries = () => [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
  useLayoutEffect(() => {
    const list = root.current!;
    list.showPopover?.();
    const { width, height } = list.getBoundingClientRect();
    const rtl = getComputedStyle(list).direction === 'rtl';
    list.style.left = `${Math.max(4, Math.min(rtl ? menu.x - width : menu.x, innerWidth - width - 4))}px`;
    list.style.top = `${Math.max(4, menu.y + height > innerHeight - 4 ? Math.min(menu.y, innerHeight) - height : menu.y)}px`;
    entries()[0]?.focus({ preventScroll: true });
    const outside = (event: Event) => {
      if (!event.composedPath().includes(list)) onClose(false);
    };
    const away = () => onClose(false);
    document.addEventListener('pointerdown', outside, true);
    window.addEventListener('blur', away);
    window.addEventListener('resize', away);
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('blur', away);
      window.removeEventListener('resize', away);
    };
  }, [menu]);
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation(); // the tree below has keys of its own
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (event.key in to) all[(to[event.key]! + all.length) % all.length]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') onClose(true);
    else if (event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const letter = event.key.toLowerCase();
      [...all.slice(at + 1), ...all.slice(0, at + 1)].find(one => one.textContent?.toLowerCase().startsWith(letter))?.focus();
    } else return;
    event.preventDefault();
  };
  return (
    <div class="mld-Menu-list mld-Side-menu" popover="manual" role="menu" aria-label={menu.label} ref={root} onKeyDown={onKeyDown} onContextMenu={event => { event.preventDefault(); event.stopPropagation(); }}>
      {menu.items.map(item => (
        <button
          type="button"
          role="menuitem"
          tabIndex={-1}
          key={item.id}
          class={['mld-Menu-item', item.danger && 'mld-mod-danger', item.apart && 'mld-mod-apart'].filter(Boolean).join(' ')}
          onClick={event => {
            event.stopPropagation();
            onClose(true);
            item.act();
          }}
        >
          {item.label}
        </button>
      ))}
    </div>
  );
}
