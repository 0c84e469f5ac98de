/** Markup of ours, no text from outside. What `thin`, `solid` or `cut` (out of what is solid) means is in the style sheet. */
const path = (d: string, look = '') => `<path class="${look}" d="${d}"/>`;
const circle = (r: number, look = '', at = 8) => `<circle class="${look}" cx="${at}" cy="${at}" r="${r}"/>`;

/** Every state has an outline of its own, not only a colour. All are drawn in a square of 16. */
const SHAPES = {
  live: circle(6.75, 'solid') + path('M5 8.2l2.1 2.1L11 6.2', 'cut'),
  busy: circle(6, 'faint') + path('M8 2a6 6 0 0 1 6 6', 'bold'),
  waiting: circle(5.5, 'dashed'),
  done: path('M3.5 8.5l3 3 6-6.5', 'firm'),
  failed: path('M5.2 1.25h5.6l3.95 3.95v5.6l-3.95 3.95H5.2L1.25 10.8V5.2z', 'solid') + path('M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8', 'cut'),
  cancelled: circle(6) + path('M3.9 12.1l8.2-8.2'),
  interrupted: path('M9.2 1.5L3.5 9h4l-.8 5.5L12.5 7h-4z', 'solid'),
  warning: path('M8 1.6L15 14H1z', 'solid') + path('M8 6v3.6M8 11.9v.05', 'cut'),
  updating: path('M13.5 6.5A5.75 5.75 0 0 0 3 5.2M2.5 9.5A5.75 5.75 0 0 0 13 10.8M2.6 2.2v3.2h3.2M13.4 13.8v-3.2h-3.2'),
  stopped: '<rect x="3" y="3" width="10" height="10" rx="1.5"/>',
  unknown: circle(6) + path('M6.3 6.4a1.75 1.75 0 1 1 2.5 1.6c-.5.3-.8.6-.8 1.2', 'thin') + path('M8 11.3v.05'),
  dash: path('M4.5 8h7'),
  copy: path('M6.5 5.5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1zM10.5 3.5v-1h-8v8h1', 'thin'),
  eye: path('M1.5 8S4 3.75 8 3.75 14.5 8 14.5 8 12 12.25 8 12.25 1.5 8 1.5 8z', 'thin') + circle(1.9, 'thin'),
  chevron: path('M6 4l4 4-4 4'),
  down: path('M4.5 6.25L8 9.75l3.5-3.5'),
  up: path('M4.5 9.75L8 6.25l3.5 3.5'),
  more: path('M3.5 8v.01M8 8v.01M12.5 8v.01', 'bold'),
  search: circle(4.25, 'thin', 7) + path('M10.2 10.2L13.5 13.5'),
  wrap: path('M2 3.5h12M2 8h9.5a2.25 2.25 0 0 1 0 4.5H8M9.75 10.5L7.75 12.5l2 2M2 12.5h3', 'thin'),
  follow: path('M4 3.25L8 7.25l4-4M4 8.5l4 4 4-4'),
  download: path('M8 2v7.5M5 7l3 3 3-3M2.5 10.5v3h11v-3', 'thin'),
  plus: path('M8 3v10M3 8h10'),
  close: path('M4 4l8 8M12 4l-8 8'),
  insert: path('M3 2.5h10a1 1 0 0 1 1 1v2a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1v-2a1 1 0 0 1 1-1zM8 9v5M5.5 11.5h5', 'thin'),
  info: circle(6, 'thin') + path('M8 7.25v3.5M8 5v.05'),
};

export type IconName = keyof typeof SHAPES;

/** Decorative, unless it has a label. */
export function icon(name: IconName, { label, spin }: { label?: string; spin?: boolean } = {}) {
  const role = label ? { role: 'img' as const, 'aria-label': label } : { 'aria-hidden': true as const };
  return <svg class={spin ? 'mld-Icon mld-mod-spin' : 'mld-Icon'} viewBox="0 0 16 16" {...role} dangerouslySetInnerHTML={{ __html: SHAPES[name] }} />;
}
