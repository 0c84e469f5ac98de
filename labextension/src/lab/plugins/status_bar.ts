/** The item of the status bar: how many services are live, and what is going on. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { h } from 'preact';
import { StatusItem } from '../../ui/sidebar';
import { PreactWidget } from './preact_widget';
import { CommandIds, IDeployments, NAMESPACE } from './tokens';

const RANK = 90; // after the kernels and terminals that run

export const statusBar: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:status-bar`,
  description: 'The number of live services in the status bar.',
  autoStart: true,
  requires: [IDeployments],
  optional: [IStatusBar],
  activate: (app: JupyterFrontEnd, deployments: IDeployments, bar: IStatusBar | null) => {
    if (!bar) return;
    const { overview, trans } = deployments;
    const onLead = (leads: { filter: string } | { service: { service: string; workspace?: string } }) => {
      if ('service' in leads) void deployments.openService(leads.service);
      else void app.commands.execute(CommandIds.showSidebar, leads);
    };
    const item = new PreactWidget(() => (deployments.settings.statusBar ? h(StatusItem, { overview, trans, onLead }) : null));
    item.id = 'mldeploy-status';
    bar.registerStatusItem(item.id, { item, align: 'left', rank: RANK });
    deployments.settingsChanged.connect(() => item.redraw());
  },
};
