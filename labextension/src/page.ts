/**
 * Where panels stand in a page of JupyterLab or Notebook 7.
 *
 * The kernel displays plain HTML, which is what the notebook saves. It names its kernel and its subject in an
 * attribute; the panel is put beside it, and the style sheet hides the HTML while the panel is there. So the saved
 * notebook has no widget, and an update of the HTML does not touch the panel.
 */

import type { Timeline } from './protocol';

export const ATTRIBUTE = 'data-mldeploy';
const OUTPUT = '.jp-OutputArea-output';
export const KEPT_MS = 2_000; // for how long a panel whose output is gone, such as in a cell that is moved, is kept
const SCROLLED_MS = 600_000; // the same with its output: JupyterLab may take a cell that is scrolled away out of the page

/** What a panel is about: a service, or a form of that kind, with the id of its output. */
export interface Subject {
  service: string;
  workspace: string;
  deployment: string;
  timeline?: Timeline | undefined; // as the deployment began: what is drawn until the kernel says more
  form?: string;
  output?: string;
  latency?: string; // the id of a run of the latency lab, when that is what is shown
}

/** What an output says of its panel: which kernel's it is, and its subject. */
export interface Marker extends Subject {
  kernel: string;
}

/** A panel that was drawn once; its DOM moves from output to output. */
export interface Drawn {
  root: HTMLElement;
  unmount(): void;
}

/** Draws a panel. A form calls `become` with what it has begun: its place is then that service's. */
export type Draw = (root: HTMLElement, subject: Subject, become: (subject: Subject) => void) => () => void;

interface Mounted {
  keys: string[]; // of what it shows: a form's own, then the service's that it deployed
  output: Element; // the saved HTML
  host: HTMLElement;
  drawn: Drawn;
  left: number; // when it left the page, 0 while it is there
}

export function parseMarker(text: string | null): Marker | null {
  try {
    const marker = JSON.parse(text ?? '');
    const names = ['kernel', 'service', 'workspace', 'deployment'];
    const isText = (name: string) => typeof marker[name] === 'string';
    return names.every(isText) && (!marker.form || ['form', 'output'].every(isText)) ? marker : null;
  } catch {
    return null;
  }
}

/** Whether this page has notebooks whose outputs are part of the page, and not in a frame of their own. */
export function isNotebookPage(): boolean {
  return document.getElementById('jupyter-config-data') !== null;
}

/** Puts a panel beside every output of one kernel, for as long as the output is in the page. */
export class Page {
  readonly #mounted = new Set<Mounted>();
  readonly #observer: MutationObserver;
  #scheduled = false;

  readonly #kernel: string;
  readonly #draw: Draw;

  constructor(kernel: string, draw: Draw) {
    this.#kernel = kernel;
    this.#draw = draw;
    this.#observer = new MutationObserver((records) => {
      if (records.some(({ target }) => !(target as Element).closest?.('.mld-Host'))) this.#schedule();
    });
    this.#observer.observe(document.body, { childList: true, subtree: true });
    window.addEventListener('keydown', keepKeys, true); // once for this module, however many pages there are
    this.#scan();
  }

  /** Takes every panel out of the page. */
  close(): void {
    this.#observer.disconnect();
    for (const mounted of this.#mounted) this.#unmount(mounted);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#scan(); // before the page is painted, so that nothing flickers
    });
  }

  #scan(): void {
    const found = new Map<Element, Marker>();
    for (const element of document.querySelectorAll(`[${ATTRIBUTE}]`)) {
      const marker = parseMarker(element.getAttribute(ATTRIBUTE));
      const output = element.closest(OUTPUT);
      if (marker?.kernel === this.#kernel && output) found.set(output, marker);
    }
    for (const mounted of this.#mounted) {
      const marker = found.get(mounted.output);
      const isThere = mounted.host.isConnected && marker !== undefined && mounted.keys.includes(keyOf(marker));
      if (isThere) {
        mounted.left = 0;
        found.delete(mounted.output);
      } else if (!mounted.left) {
        mounted.left = Date.now();
        // The output is about something else now, or gone.
        if (mounted.output.isConnected || !isWhole(mounted)) mounted.host.remove();
        for (const pause of [KEPT_MS, SCROLLED_MS]) setTimeout(() => this.#scan(), pause + 1);
      } else if (Date.now() - mounted.left > (isWhole(mounted) ? SCROLLED_MS : KEPT_MS)) this.#unmount(mounted);
    }
    for (const [output, marker] of found) this.#mount(output, marker);
  }

  #mount(output: Element, marker: Marker): void {
    const key = keyOf(marker);
    const host = document.createElement('div');
    host.className = 'mld-Host'; // not JupyterLab's class of an output: its rules for lists and code would apply
    const since = Date.now() - KEPT_MS;
    const kept = [...this.#mounted].find((mounted) => mounted.left > since && mounted.left && mounted.keys.includes(key));
    if (kept) {
      const restore = rememberView(kept.drawn.root);
      host.append(kept.drawn.root);
      output.after(host);
      restore();
      Object.assign(kept, { output, host, left: 0 });
      return;
    }
    const root = document.createElement('div');
    root.className = 'mld mld-Root';
    host.append(root);
    output.after(host);
    const keys = [key];
    const unmount = this.#draw(root, marker, (begun) => void keys.push(keyOf(begun)));
    this.#mounted.add({ keys, output, host, drawn: { root, unmount }, left: 0 });
  }

  #unmount(mounted: Mounted): void {
    this.#mounted.delete(mounted);
    mounted.drawn.unmount();
    mounted.host.remove();
  }
}

/**
 * Keys that are pressed in a panel are the panel's: D D would delete its cell. What has Ctrl, Alt or Meta stays
 * JupyterLab's, such as saving. It looks at the attribute, of the very element, when the event comes to the document,
 * which is after this.
 */
function keepKeys(event: KeyboardEvent): void {
  const target = event.target as Element;
  if (target.closest?.('.mld-Host')) target.toggleAttribute('data-lm-suppress-shortcuts', event.key === 'Enter' || !(event.ctrlKey || event.metaKey || event.altKey));
}

/** Whether the panel still stands beside its output, in the page or not. */
function isWhole({ host, output }: Mounted): boolean {
  return host.parentElement !== null && host.parentElement === output.parentElement;
}

/** What tells panels apart: a form's output, a deployment, or the service. */
function keyOf({ service, workspace, deployment, latency, output }: Subject): string {
  return output || JSON.stringify([service, latency || deployment || workspace]);
}

/** Notes what the browser forgets of elements that are moved: scrolling and focus. Returns what restores it. */
export function rememberView(root: HTMLElement): () => void {
  const scrolled = [...root.querySelectorAll('*')]
    .filter((element) => element.scrollTop || element.scrollLeft)
    .map((element) => [element, element.scrollTop, element.scrollLeft] as const);
  const focused = root.contains(document.activeElement) ? (document.activeElement as HTMLElement) : null;
  return () => {
    for (const [element, top, left] of scrolled) element.scrollTo(left, top);
    focused?.focus({ preventScroll: true });
  };
}
