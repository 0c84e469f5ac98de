/** What panels and the sidebar do with notebooks: insert a cell, show the line of one. */
import { ILabShell, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import type { Port } from '../../protocol';
import { focusCell } from '../../notebook_actions';
import { IDeployments, NAMESPACE } from './tokens';

export const notebooks: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:notebooks`,
  description: 'Inserts cells into notebooks, and shows their lines.',
  autoStart: true,
  requires: [IDeployments],
  optional: [INotebookTracker, ILabShell],
  activate: (app: JupyterFrontEnd, { port }: IDeployments, tracker: INotebookTracker | null, labShell: ILabShell | null) => {
    if (!tracker) return;
    const insert = (text: string) => void insertIntoNotebook(app, tracker, text);
    const focus = (cell: number, line: number) => {
      const notebook = tracker.currentWidget;
      if (!notebook) return false;
      app.shell.activateById(notebook.id);
      return focusCell(notebook.content.node, cell, line);
    };
    // Absent where there is no notebook, and none can be made beside the panel.
    Object.defineProperties(port, {
      insertCell: { get: (): Port['insertCell'] => (tracker.currentWidget || labShell ? insert : undefined), configurable: true },
      focusCell: { get: (): Port['focusCell'] => (tracker.currentWidget ? focus : undefined), configurable: true },
    });
  },
};

/** Inserts a cell below the active one, in the notebook that was used last or in a new one. */
async function insertIntoNotebook(app: JupyterFrontEnd, tracker: INotebookTracker, text: string): Promise<void> {
  let panel: NotebookPanel | null = tracker.currentWidget;
  if (!panel) {
    await app.serviceManager.kernelspecs.ready;
    const kernelName = app.serviceManager.kernelspecs.specs?.default ?? '';
    panel = (await app.commands.execute('notebook:create-new', { kernelName })) as NotebookPanel;
    await panel.context.ready;
    await panel.revealed;
  }
  app.shell.activateById(panel.id);
  const { content } = panel;
  const active = content.activeCell?.model;
  const isEmpty = content.widgets.length === 1 && active?.sharedModel.getSource() === '';
  if (isEmpty) active?.sharedModel.setSource(text);
  else insertCell(panel, content.activeCellIndex + 1, text);
}

function insertCell({ content }: NotebookPanel, index: number, source: string): void {
  content.model?.sharedModel.insertCell(index, { cell_type: 'code', source, metadata: {} });
  content.deselectAll();
  content.activeCellIndex = index;
  if (content.activeCell) void content.scrollToCell(content.activeCell);
}
