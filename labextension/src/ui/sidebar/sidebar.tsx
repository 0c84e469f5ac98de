import type { ServiceRef } from '../../protocol';
import type { Overview } from './overview';
import type { Memory, Shell } from './shell';
import { ENGLISH, type Translation, makeWords } from './words';

export interface SidebarProps {
  overview: Overview;
  shell?: Shell;
  memory?: Memory;
  trans?: Translation;
  /** The service whose panel is in view: its row is marked. */
  current?: ServiceRef;
  /** A text for the filter box. Another object sets it again. */
  show?: { filter: string };
}

/** Services and models of all known workspaces. */
export function Sidebar({ trans = ENGLISH }: SidebarProps) {
  return <div class="mld mld-Side">{makeWords(trans).loading}</div>;
}
