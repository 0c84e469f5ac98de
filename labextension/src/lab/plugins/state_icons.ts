/** The icons of the states, as JupyterLab draws them in the title of a tab. */
import { LabIcon } from '@jupyterlab/ui-components';
import { render } from 'preact';
import type { ServiceState } from '../../protocol';
import { icon as draw } from '../../ui/icons';
import { SERVICE_LOOKS } from '../../ui/words';

const made = new Map<string, LabIcon>();

/** The same drawing and colour as in a panel. */
export function stateIcon(state: ServiceState): LabIcon {
  const { icon, state: look } = SERVICE_LOOKS[state];
  let found = made.get(look);
  if (!found) {
    const host = document.createElement('div');
    render(draw(icon), host);
    const svg = host.firstElementChild!;
    svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    svg.setAttribute('class', 'mld-Icon mld-TabIcon');
    svg.setAttribute('data-state', look);
    found = new LabIcon({ name: `mldeploy:state-${look}`, svgstr: svg.outerHTML });
    made.set(look, found);
  }
  return found;
}
