import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Failure, Part } from '../protocol';
import type { ApiPart } from './api';
import type { LatencyPart } from './latency';
import { Awaited } from './parts';
import { asFailure, usePort } from './port_context';
import * as shared from './shared';
import { t } from './translation';

interface Parts { api: ApiPart; latency: LatencyPart }
type Props<C> = C extends (props: infer Q) => unknown ? Q : never;
type Loaded<P> = { default: (lend: () => typeof shared) => P };

function loader<P extends Part>(name: P) {
  return function Late<N extends keyof Parts[P]>({ show, ...props }: { show: N } & Props<Parts[P][N]>) {
    const port = usePort();
    const [part, setPart] = useState<Parts[P] | null>(null);
    const [failure, setFailure] = useState<Failure | null>(null);
    useEffect(() => {
      port.loadPart?.(name).then(loaded => setPart((loaded as Loaded<Parts[P]>).default(() => shared)), reason => setFailure(asFailure(reason)));
    }, [port]);
    if (!part) return <Awaited failure={failure}>{t`Loading…`}</Awaited>;
    const Shown = part[show] as FunctionComponent<unknown>;
    return <Shown {...props} />;
  };
}

/** Shows a component of the latency part, whose module is loaded when the first is shown. */
export const Latency = loader('latency');

/** The same of the API part. */
export const Api = loader('api');
