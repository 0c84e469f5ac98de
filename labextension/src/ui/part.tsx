import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Failure } from '../protocol';
import * as shared from './latency/shared';
import type { LatencyPart } from './latency';
import { Awaited } from './parts';
import { asFailure, usePort } from './port_context';
import { t } from './translation';

type Loaded = { default: (lend: () => typeof shared) => LatencyPart };

/** A component of the latency part, whose module is loaded when the first is shown. */
export function Latency<N extends keyof LatencyPart>({ show, ...props }: { show: N } & Parameters<LatencyPart[N]>[0]) {
  const port = usePort();
  const [part, setPart] = useState<LatencyPart | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    port.loadPart?.('latency').then(loaded => setPart((loaded as Loaded).default(() => shared)), reason => setFailure(asFailure(reason)));
  }, [port]);
  if (!part) return <Awaited failure={failure}>{t`Loading…`}</Awaited>;
  const Shown = part[show] as FunctionComponent<unknown>;
  return <Shown {...props} />;
}
