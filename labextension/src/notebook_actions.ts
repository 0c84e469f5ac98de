/**
 * What a panel can do with the notebook around it: show a line of a cell, and insert a cell.
 *
 * The page offers no interface for either. A cell is found by its prompt in the page, which works in JupyterLab and
 * Notebook 7; a cell is inserted through the notebook's shared model, which the widget manager of both leads to.
 */
import type { Port } from './protocol';

interface Signal<T> {
  connect(run: (sender: unknown, args: T) => void): unknown;
  disconnect(run: (sender: unknown, args: T) => void): unknown;
}

interface SharedNotebook {
  insertCell(index: number, cell: { cell_type: 'code'; source: string; metadata: object }): unknown;
  cells: readonly unknown[];
}

/** What is used of the manager that a model belongs to; other front ends have less of it. */
export interface WidgetManager {
  kernel?: { statusChanged?: Signal<string>; connectionStatusChanged?: Signal<string> } | null;
  context?: { model?: { sharedModel?: SharedNotebook } };
}

/** CodeMirror 6: the view that an editor's content belongs to, under the names that its releases gave it. */
interface EditorView {
  state: { doc: { lines: number; line(n: number): { from: number } } };
  dispatch(change: object): void;
  focus(): void;
}
type Content = HTMLElement & { cmTile?: { view?: EditorView }; cmView?: { view?: EditorView; rootView?: { view?: EditorView } } };

/** `panel` is an element inside the notebook that is meant: a page may show several. */
export function notebookActions(
  manager: WidgetManager | undefined,
  panel: () => Element | null,
): Pick<Port, 'focusCell' | 'insertCell'> {
  const notebook = manager?.context?.model?.sharedModel;
  const actions: Pick<Port, 'focusCell' | 'insertCell'> = {};
  if (document.querySelector('.jp-Notebook')) {
    actions.focusCell = (cell, line) => {
      const scope = panel()?.closest('.jp-Notebook') ?? document.querySelector('.jp-Notebook');
      return scope !== null && focusCell(scope, cell, line);
    };
  }
  if (typeof notebook?.insertCell === 'function') {
    actions.insertCell = (source) => {
      const index = indexOf(panel()?.closest('.jp-Cell') ?? null);
      notebook.insertCell(index === null ? notebook.cells.length : index + 1, { cell_type: 'code', source, metadata: {} });
    };
  }
  return actions;
}

/** The cell's place in its notebook, which in a long notebook is not its place in the page. */
function indexOf(cell: Element | null): number | null {
  const index = cell?.getAttribute('data-windowed-list-index');
  if (index != null && index !== '') return Number(index);
  const cells = [...(cell?.closest('.jp-Notebook')?.querySelectorAll('.jp-Cell') ?? [])];
  return cell && cells.includes(cell) ? cells.indexOf(cell) : null;
}

/** Puts the cursor at the line of the cell with this number in its prompt. False when it is not on the page. */
export function focusCell(notebook: Element, cell: number, line: number): boolean {
  const found = [...notebook.querySelectorAll('.jp-CodeCell')].find(
    (each) => each.querySelector('.jp-InputPrompt')?.textContent?.match(/\[\s*(\d+)\s*\]/)?.[1] === String(cell),
  );
  const content = found?.querySelector<Content>('.cm-content');
  if (!found || !content) return false;
  const view = content.cmTile?.view ?? content.cmView?.view ?? content.cmView?.rootView?.view;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (view) {
    const { doc } = view.state;
    view.focus();
    view.dispatch({ selection: { anchor: doc.line(Math.min(Math.max(line, 1), doc.lines)).from } });
  } else {
    content.focus();
    const element = content.querySelectorAll('.cm-line')[line - 1];
    if (element) getSelection()?.collapse(element, 0);
  }
  const target = content.querySelectorAll('.cm-line')[line - 1] ?? found;
  target.scrollIntoView({ block: 'center', behavior: calm ? 'auto' : 'smooth' });
  return true;
}
