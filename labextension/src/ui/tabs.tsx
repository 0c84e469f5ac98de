import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useId } from './port_context';

const HIGHEST = 900; // pixels: a long tab does not leave a desert below a short one

export interface TabSpec { id: string; label: string; draw: () => ComponentChildren }

/** Tabs with one stop in the focus order. A tab is drawn when it is first chosen and then kept, with what was typed. */
export function Tabs({ label, tabs, chosen, onChoose }: { label: string; tabs: TabSpec[]; chosen: string; onChoose: (id: string) => void }) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const panels = useRef<HTMLDivElement>(null);
  const keptAt = useRef(0); // the width at which the height was kept
  const [seen, setSeen] = useState<ReadonlySet<string>>(new Set([chosen]));
  const current = tabs.some(tab => tab.id === chosen) ? chosen : (tabs[0]?.id ?? '');
  useEffect(() => setSeen(before => (before.has(current) ? before : new Set([...before, current]))), [current]);

  // The area keeps the height of the tab that is left: choosing another one moves nothing below it.
  const leave = () => {
    const element = panels.current;
    const panel = [...(element?.children ?? [])].find(child => !(child as HTMLElement).hidden) as HTMLElement | undefined;
    if (!element || !panel) return;
    const width = element.clientWidth;
    const kept = width === keptAt.current ? parseFloat(element.style.minBlockSize) || 0 : 0;
    keptAt.current = width;
    element.style.minBlockSize = `${Math.min(HIGHEST, Math.max(kept, panel.offsetHeight))}px`;
  };
  const choose = (tab: string) => {
    if (tab === current) return;
    leave();
    onChoose(tab);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const all = [...(list.current?.children ?? [])] as HTMLElement[];
    const at = tabs.findIndex(tab => tab.id === current);
    const rtl = getComputedStyle(list.current as Element).direction === 'rtl' ? -1 : 1;
    const to: Record<string, number> = { ArrowRight: at + rtl, ArrowLeft: at - rtl, Home: 0, End: all.length - 1 };
    if (!(event.key in to)) return;
    event.preventDefault();
    const next = (to[event.key]! + all.length) % all.length;
    choose(tabs[next]!.id);
    all[next]!.focus();
  };
  return (
    <>
      <div class="mld-Tabs" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map(tab => (
          <button
            type="button"
            key={tab.id}
            class="mld-Tab"
            role="tab"
            id={`${id}-t-${tab.id}`}
            aria-controls={`${id}-p-${tab.id}`}
            aria-selected={tab.id === current}
            tabIndex={tab.id === current ? 0 : -1}
            data-label={tab.label}
            onClick={() => choose(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div ref={panels}>
        {tabs.map(tab => (
          <div key={tab.id} class="mld-TabPanel" role="tabpanel" id={`${id}-p-${tab.id}`} aria-labelledby={`${id}-t-${tab.id}`} data-tab={tab.id} hidden={tab.id !== current}>
            {seen.has(tab.id) || tab.id === current ? tab.draw() : null}
          </div>
        ))}
      </div>
    </>
  );
}
