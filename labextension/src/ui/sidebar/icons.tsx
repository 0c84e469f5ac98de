import type { JSX } from 'preact';

const thin = { 'stroke-width': '1.3' } as const;

/** Targets, models and buttons of the sidebar, drawn as `../icons.tsx` draws states: in a square of 16, decorative. */
const SHAPES = {
  local: <><rect x="1.75" y="2.75" width="12.5" height="8.5" rx="1" /><path d="M5.5 13.75h5" /></>,
  docker: <path d="M8 1.75l5.75 3v6.5L8 14.25l-5.75-3v-6.5zM2.5 4.9L8 7.75l5.5-2.85M8 7.75v6.25" {...thin} />,
  aci: <path d="M4.5 12.5a3 3 0 0 1-.3-6A4.2 4.2 0 0 1 12.3 7a2.8 2.8 0 0 1-.3 5.5z" />,
  kubernetes: <><path d="M8 1.5l5.6 3.25v6.5L8 14.5l-5.6-3.25v-6.5z" {...thin} /><circle cx="8" cy="8" r="2" {...thin} /></>,
  folder: <path d="M1.75 12.75v-9.5h4.5l1.5 1.75h6.5v7.75z" {...thin} />,
  model: <><circle cx="4" cy="4" r="1.75" {...thin} /><circle cx="4" cy="12" r="1.75" {...thin} /><circle cx="12" cy="8" r="1.75" {...thin} /><path d="M5.6 4.8l4.8 2.4M5.6 11.2l4.8-2.4" {...thin} /></>,
  refresh: <path d="M13.25 8a5.25 5.25 0 1 1-1.6-3.75M13.5 2v3h-3" {...thin} />,
  open: <path d="M9.5 2.5h4v4M13.5 2.5L8 8M6.5 3.5h-4v10h10v-4" {...thin} />,
  unplugged: <path d="M2 2l12 12M4.5 5.5a5 5 0 0 0 5 7.5h2.5M6.5 3.6A4.2 4.2 0 0 1 12.3 7a2.8 2.8 0 0 1 1.9 4.2" {...thin} />,
} satisfies Record<string, JSX.Element>;

export type SideIconName = keyof typeof SHAPES;

export function SideIcon({ name }: { name: SideIconName }) {
  return <svg class="mld-Icon" viewBox="0 0 16 16" aria-hidden="true">{SHAPES[name]}</svg>;
}

/** The icon of a target; those of other packages get that of a place away from here. */
export function targetIcon(target: string): SideIconName {
  if (target === 'local' || target === 'docker' || target === 'aci') return target;
  return target === 'aks' || target === 'kubernetes' ? 'kubernetes' : 'aci';
}
