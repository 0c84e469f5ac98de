/** Services and models in the left sidebar. */
import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';
import { h } from 'preact';
import { type Memory, type Shell, Sidebar } from '../../ui/sidebar';
import { deployIcon } from './icons';
import { PreactWidget } from './preact_widget';
import { CommandIds, IDeployments, NAMESPACE } from './tokens';

const RANK = 450; // after the file browser, running kernels and the table of contents
const MEMORY = `${NAMESPACE}:open-groups`;

export const sidebar: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:sidebar`,
  description: 'The sidebar with services and models.',
  autoStart: true,
  requires: [IDeployments],
  optional: [ILabShell, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    deployments: IDeployments,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
  ) => {
    const { overview, trans } = deployments;
    const shell: Shell = { openForm: (form, start) => void deployments.openForm({ form, ...start }), startDrag };
    const memory: Memory = { open: {}, save: (open) => void state?.save(MEMORY, open) };
    let show: { filter: string } | undefined;
    let remembered = !state;
    const widget = new PreactWidget(() => {
      if (!remembered) return null;
      const current = deployments.current;
      return h(Sidebar, { overview, shell, memory, trans, groups: deployments.settings.groups, ...(current ? { current } : {}), ...(show ? { show } : {}) });
    });
    widget.id = 'mldeploy-sidebar';
    widget.addClass('mld-Sidebar');
    widget.title.icon = deployIcon;
    widget.title.caption = trans.__('Services and models');
    widget.node.setAttribute('role', 'region');
    widget.node.setAttribute('aria-label', widget.title.caption);
    deployments.currentChanged.connect(() => widget.redraw());
    deployments.settingsChanged.connect(() => widget.redraw());

    app.commands.addCommand(CommandIds.showSidebar, {
      label: trans.__('Show services and models'),
      icon: deployIcon,
      execute: ({ filter }) => {
        if (typeof filter === 'string') show = { filter };
        widget.redraw();
        if (!labShell) (app.shell as { expandLeft?: (id: string) => void }).expandLeft?.(widget.id); // Notebook 7
        app.shell.activateById(widget.id);
      },
    });
    app.shell.add(widget, 'left', { rank: RANK, type: 'Services' });
    restorer?.add(widget, widget.id);
    const remember = (open?: unknown) => {
      memory.open = (open ?? {}) as Memory['open'];
      remembered = true;
      widget.redraw();
    };
    state?.fetch(MEMORY).then(remember, () => remember());
  },
};

/** A drag of JupyterLab's own kind: notebooks insert cells that are dropped so. */
function startDrag(at: { clientX: number; clientY: number }, data: Record<string, unknown>, dragImage: HTMLElement): void {
  const mimeData = new MimeData();
  for (const [type, value] of Object.entries(data)) mimeData.setData(type, value);
  const drag = new Drag({ mimeData, dragImage, supportedActions: 'copy', proposedAction: 'copy' });
  void drag.start(at.clientX, at.clientY).then(() => drag.dispose());
}
