/** Says when a deployment ends that nobody looks at. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { type Ended, type Notice, describeEnd, makeWords, watchEnds } from '../../ui/sidebar';
import { IDeployments, NAMESPACE } from './tokens';

const SHOWN_MS = 8_000; // for how long a notice stays; one of a failure stays until it is closed

const KINDS = { live: 'success', failed: 'error', cancelled: 'info', interrupted: 'warning' } as const;

export const notices: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:notices`,
  description: 'A notice when a deployment ends whose panel is out of sight.',
  autoStart: true,
  requires: [IDeployments],
  activate: (_app: JupyterFrontEnd, deployments: IDeployments) => {
    const words = makeWords(deployments.trans);
    watchEnds(deployments.overview, (ended) => void tell(ended));

    async function tell(ended: Ended): Promise<void> {
      const { notifications } = deployments.settings;
      if (notifications === 'none' || deployments.isInSight(ended)) return;
      const notice = await describeEnd(deployments.overview, ended, words).catch(() => null); // the sidebar says as much
      if (notice && (notifications === 'all' || notice.state === 'failed')) show(notice);
    }
  },
};

function show({ state, title, text, actions }: Notice): void {
  Notification.emit(text ? `${title}\n${text}` : title, KINDS[state], {
    autoClose: state === 'failed' ? false : SHOWN_MS,
    actions: actions.map(({ label, act }) => ({ label, callback: () => void Promise.resolve(act()).catch(() => undefined) })),
  });
}
