/** The card in the launcher. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { CommandIds, IDeployments, NAMESPACE } from './tokens';

export const launcher: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:launcher`,
  description: 'A card of the launcher that deploys a model.',
  autoStart: true,
  requires: [IDeployments],
  optional: [ILauncher],
  activate: (_app: JupyterFrontEnd, { trans }: IDeployments, launcher: ILauncher | null) => {
    launcher?.add({ command: CommandIds.deploy, category: trans.__('Other'), rank: 10 });
  },
};
