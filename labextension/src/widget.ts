/**
 * The entry of the notebook's widget: what anywidget calls for each model and each of its views.
 *
 * A kernel has one widget that connects all of its panels; in a page of JupyterLab or Notebook 7 they are put beside
 * the outputs that the kernel displays (`page.ts`). Elsewhere each panel is a view of a widget of its own.
 */
import { h, render as renderTree } from 'preact';
import { openChannel, type Sender } from './channel';
import { CommPort } from './comm_port';
import { notebookActions, type WidgetManager } from './notebook_actions';
import type { Begun, Form } from './protocol';
import { isNotebookPage, KEPT_MS, Page, rememberView, type Subject } from './page';
import { FormPlace } from './ui/forms/form_place';
import { Panel } from './ui/panel';
import { PortProvider } from './ui/port_context';
import { Latency } from './ui/part';

/** What anywidget gives of a model. */
interface Model extends Sender {
  get(name: string): unknown;
  on(name: string, run: (...args: never[]) => void): void;
  widget_manager?: WidgetManager;
}

interface Connected {
  model: Model;
  port: CommPort;
  root: HTMLElement | null; // the DOM of the panel, which the next view adopts
}

// Each model loads this module anew, so what they share is kept by the page.
const shared = globalThis as { [key: symbol]: Set<Connected> };
const all = (shared[Symbol.for('mldeploy.panels')] ??= new Set());

function connect(model: Model, signal?: AbortSignal): Connected {
  const connected: Connected = { model, port: new CommPort(), root: null };
  const { port } = connected;
  const channel = openChannel(model, isNotebookPage() ? 'notebook' : 'other', signal);
  port.attach(channel);
  // Figures that the kernel makes have the theme of the page.
  const tellTheme = () => channel.send({ kind: 'theme', id: '', dark: document.body.dataset['jpThemeLight'] === 'false' });
  const theme = new MutationObserver(tellTheme);
  theme.observe(document.body, { attributeFilter: ['data-jp-theme-light'] });
  signal?.addEventListener('abort', () => theme.disconnect());
  tellTheme();
  Object.assign(port, notebookActions(model.widget_manager, () => connected.root));
  // Panels that were left behind by the kernel before this one, in the same notebook.
  for (const other of all) {
    if (!other.port.connected && other.model.widget_manager === model.widget_manager) other.port.attach(channel);
  }
  all.add(connected);
  watchConnection(model, port, signal);
  signal?.addEventListener('abort', () => {
    port.lose();
    all.delete(connected);
  });
  return connected;
}

/** Tells the port when nothing comes from the kernel any longer, and when it may have missed something. */
function watchConnection(model: Model, port: CommPort, signal?: AbortSignal): void {
  const kernel = model.widget_manager?.kernel;
  model.on('comm:close', () => port.lose());
  const onStatus = (_: unknown, status: string) => {
    if (status === 'unknown') port.interrupt(); // JupyterLab's word while its connection is down
    else if (/^(dead|(auto)?restarting|terminating)$/.test(status)) port.lose();
  };
  const onConnection = (_: unknown, status: string) => {
    if (status === 'connected') port.resume();
  };
  kernel?.statusChanged?.connect(onStatus);
  kernel?.connectionStatusChanged?.connect(onConnection);
  const onVisibility = () => port.setVisible(document.visibilityState === 'visible');
  document.addEventListener('visibilitychange', onVisibility);
  signal?.addEventListener('abort', () => {
    kernel?.statusChanged?.disconnect(onStatus);
    kernel?.connectionStatusChanged?.disconnect(onConnection);
    document.removeEventListener('visibilitychange', onVisibility);
  });
}

const byModel = new Map<string, Connected>();

function connectionOf(model: Model, signal?: AbortSignal): Connected {
  const id = String(model.get('panel_id'));
  let connected = byModel.get(id);
  if (!connected) byModel.set(id, (connected = connect(model, signal)));
  return connected;
}

function drawPanel(root: HTMLElement, subject: Subject, { port }: Connected, become?: (begun: Subject) => void): () => void {
  const { service, workspace, form, output, latency } = subject;
  const onBegun = ({ service, deployment }: Begun) => become?.({ service, workspace, deployment });
  const kind = form as Form['form'] | '';
  if (latency) renderTree(h(PortProvider, { value: port }, h(Latency, { show: 'RunView', run: latency, workspace })), root);
  else renderTree(kind ? h(FormPlace, { port, form: kind, service, workspace, output, onBegun }) : h(Panel, { port, ...subject }), root);
  return () => renderTree(null, root);
}

/** What ends a view: its panel is kept for a moment, in which the next view may adopt it. */
function leave(connected: Connected, root: HTMLElement, unmount: () => void): () => void {
  const earlier = unmounts.get(root);
  unmounts.set(root, earlier ?? unmount);
  return () => {
    setTimeout(() => {
      if (root.isConnected) return;
      unmounts.get(root)?.();
      unmounts.delete(root);
      if (connected.root === root) connected.root = null;
    }, KEPT_MS);
  };
}

const unmounts = new WeakMap<HTMLElement, () => void>();

export default {
  initialize({ model, signal }: { model: Model; signal?: AbortSignal }) {
    const connected = connectionOf(model, signal);
    if (!isNotebookPage() || model.get('service') || model.get('form')) return;
    const page = new Page(String(model.get('panel_id')), (root, subject, become) => {
      connected.root ??= root;
      return drawPanel(root, subject, connected, become);
    });
    signal?.addEventListener('abort', () => page.close());
  },

  render({ model, el }: { model: Model; el: HTMLElement }) {
    const connected = connectionOf(model);
    const { root } = connected;
    if (root && !root.isConnected) {
      const restore = rememberView(root); // drawn again: typed input and everything else stays
      el.append(root);
      queueMicrotask(restore);
      return leave(connected, root, () => {});
    }
    const fresh = document.createElement('div');
    fresh.className = 'mld mld-Root';
    el.append(fresh);
    connected.root ??= fresh;
    const names = ['service', 'workspace', 'deployment', 'form', 'output', 'timeline', 'latency'] as const;
    const subject = Object.fromEntries(names.map((name) => [name, model.get(name)])) as unknown as Subject;
    subject.timeline &&= JSON.parse(String(subject.timeline));
    return leave(connected, fresh, drawPanel(fresh, subject, connected));
  },
};
