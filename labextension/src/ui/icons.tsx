import type { JSX } from 'preact';

const thin = { 'stroke-width': '1.3' } as const;
const filled = { fill: 'currentColor', stroke: 'none' } as const;
const onFill = { stroke: 'var(--mld-bg)' } as const;

/** Every state has an outline of its own, not only a colour. All are drawn in a square of 16. */
const SHAPES = {
  live: <><circle cx="8" cy="8" r="6.75" {...filled} /><path d="M5 8.2l2.1 2.1L11 6.2" {...onFill} /></>,
  busy: <><circle cx="8" cy="8" r="6" opacity=".3" /><path d="M8 2a6 6 0 0 1 6 6" stroke-width="2" /></>,
  waiting: <circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.12" />,
  done: <path d="M3.5 8.5l3 3 6-6.5" stroke-width="1.75" />,
  failed: <><path d="M5.2 1.25h5.6l3.95 3.95v5.6l-3.95 3.95H5.2L1.25 10.8V5.2z" {...filled} /><path d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" {...onFill} /></>,
  cancelled: <><circle cx="8" cy="8" r="6" /><path d="M3.9 12.1l8.2-8.2" /></>,
  interrupted: <path d="M9.2 1.5L3.5 9h4l-.8 5.5L12.5 7h-4z" {...filled} />,
  warning: <><path d="M8 1.6L15 14H1z" {...filled} /><path d="M8 6v3.6M8 11.9v.05" {...onFill} /></>,
  updating: <path d="M13.5 6.5A5.75 5.75 0 0 0 3 5.2M2.5 9.5A5.75 5.75 0 0 0 13 10.8M2.6 2.2v3.2h3.2M13.4 13.8v-3.2h-3.2" />,
  stopped: <rect x="3" y="3" width="10" height="10" rx="1.5" />,
  unknown: <><circle cx="8" cy="8" r="6" /><path d="M6.3 6.4a1.75 1.75 0 1 1 2.5 1.6c-.5.3-.8.6-.8 1.2" {...thin} /><path d="M8 11.3v.05" /></>,
  dash: <path d="M4.5 8h7" />,
  copy: <><rect x="5.5" y="5.5" width="8" height="8" rx="1" {...thin} /><path d="M10.5 3.5v-1h-8v8h1" {...thin} /></>,
  eye: <><path d="M1.5 8S4 3.75 8 3.75 14.5 8 14.5 8 12 12.25 8 12.25 1.5 8 1.5 8z" {...thin} /><circle cx="8" cy="8" r="1.9" {...thin} /></>,
  chevron: <path d="M6 4l4 4-4 4" />,
  down: <path d="M4.5 6.25L8 9.75l3.5-3.5" />,
  up: <path d="M4.5 9.75L8 6.25l3.5 3.5" />,
  more: <path d="M3.5 8v.01M8 8v.01M12.5 8v.01" stroke-width="2" />,
  search: <><circle cx="7" cy="7" r="4.25" {...thin} /><path d="M10.2 10.2L13.5 13.5" /></>,
  wrap: <path d="M2 3.5h12M2 8h9.5a2.25 2.25 0 0 1 0 4.5H8M9.75 10.5L7.75 12.5l2 2M2 12.5h3" {...thin} />,
  follow: <path d="M4 3.25L8 7.25l4-4M4 8.5l4 4 4-4" />,
  download: <path d="M8 2v7.5M5 7l3 3 3-3M2.5 10.5v3h11v-3" {...thin} />,
  plus: <path d="M8 3v10M3 8h10" />,
  close: <path d="M4 4l8 8M12 4l-8 8" />,
  insert: <><rect x="2" y="2.5" width="12" height="4" rx="1" {...thin} /><path d="M8 9v5M5.5 11.5h5" {...thin} /></>,
  info: <><circle cx="8" cy="8" r="6" {...thin} /><path d="M8 7.25v3.5M8 5v.05" /></>,
} satisfies Record<string, JSX.Element>;

export type IconName = keyof typeof SHAPES;

/** Decorative, unless it has a label. */
export function Icon({ name, label, spin }: { name: IconName; label?: string; spin?: boolean }) {
  const role = label ? { role: 'img' as const, 'aria-label': label } : { 'aria-hidden': true as const };
  return (
    <svg class={spin ? 'mld-Icon mld-mod-spin' : 'mld-Icon'} viewBox="0 0 16 16" {...role}>
      {SHAPES[name]}
    </svg>
  );
}
