import { useEffect, useState } from 'preact/hooks';
import type { Port, Timeline } from '../protocol';

/** What a panel is about. An empty `deployment` means the service as it stands. */
export interface Subject {
  service: string;
  workspace: string;
  deployment: string;
}

export interface PanelProps {
  port: Port;
  subject: Subject;
}

/** The panel of a service and of its deployment: the root of all components. */
export function Panel({ port, subject }: PanelProps) {
  const [timeline, setTimeline] = useState<Timeline | null>(null);
  const [lost, setLost] = useState('');
  const { service, workspace, deployment } = subject;
  useEffect(() => {
    if (!deployment) return;
    return port.subscribe(
      'deployment',
      { deployment, workspace },
      (event) => {
        setLost('');
        if (event.timeline) setTimeline(event.timeline);
      },
      setLost,
    );
  }, [port, deployment, workspace]);
  return (
    <section class="mld-Panel" aria-label={`${service}, service`} data-state={timeline?.state ?? ''}>
      <header class="mld-Head">
        <h2 class="mld-Head-name">{service}</h2>
        <span class="mld-Head-state">{lost ? `Not connected since ${lost}` : (timeline?.state ?? '')}</span>
        {timeline?.can.includes('cancel') && (
          <button
            type="button"
            class="mld-Button"
            onClick={() => void port.request('deployment.cancel', { deployment, workspace }).catch(() => {})}
          >
            Cancel
          </button>
        )}
      </header>
    </section>
  );
}
