import { useMemo } from 'preact/hooks';
import type { Service } from '../../protocol';
import { LogView } from './log';
import { LogBuffer } from './log_buffer';
import { refOf, usePort, useTopic } from '../port_context';
import { t } from '../translation';

/** The service's own log, as it is written. */
export function ServiceLog({ service }: { service: Service }) {
  const port = usePort();
  const ref = refOf(service);
  const buffer = useMemo(() => new LogBuffer(), [service.service, service.workspace]);
  useTopic('serviceLog', ref, event => buffer.append(event.lines, event.lost));
  const revisions = [...new Set([service.revision, ...service.kept])].sort((a, b) => b - a);
  return (
    <LogView
      buffer={buffer}
      label={t`Service log`}
      revisions={revisions}
      placeholder={t`Search or request id`}
      download={() => port.request('service.logText', ref)}
      empty={t`What the service prints and every request it refuses will appear here.`}
      height={346}
    />
  );
}
