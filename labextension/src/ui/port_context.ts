import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { Failure, Port, Requests, Service, ServiceRef, Topics } from '../protocol';
import { randomId } from '../random_id';
import { t } from './translation';

const PortContext = createContext<Port | null>(null);
export const PortProvider = PortContext.Provider;

export function usePort(): Port {
  const port = useContext(PortContext);
  if (!port) throw new Error('no port');
  return port;
}

/** An id that no other panel of the page has. Preact's own is unique within one panel only. */
export function useId(): string {
  return useState(() => `mld-${randomId()}`)[0];
}

export function refOf({ service, workspace }: Service): Required<ServiceRef> {
  return { service, workspace };
}

/** What a client of the service sends. It is asked for each time, and kept nowhere. */
export async function readKey(port: Port, service: Service): Promise<string> {
  const { primary, token } = await port.request('service.keys', refOf(service));
  return primary || token;
}

/** Whatever a request was rejected with, as a failure that can be shown. */
export function asFailure(reason: unknown): Failure {
  if (typeof reason === 'object' && reason !== null && 'error' in reason) return reason as Failure;
  return { code: 'internal', error: t`The panel could not do this`, cause: String(reason), hint: t`Run the cell again` };
}

/** Subscribes while the component is shown, and again when the parameters change. `topic` null subscribes to nothing. */
export function useTopic<T extends keyof Topics>(
  topic: T | null,
  params: Topics[T]['params'],
  onEvent: (event: Topics[T]['event']) => void,
): string | null {
  const port = usePort();
  const handler = useRef(onEvent);
  handler.current = onEvent;
  const [lostSince, setLost] = useState<string | null>(null);
  useEffect(() => {
    if (topic === null) return undefined;
    return port.subscribe(
      topic,
      params,
      event => {
        setLost(null);
        handler.current(event);
      },
      setLost,
    );
  }, [port, topic, JSON.stringify(params)]);
  return lostSince;
}

export interface Asked<N extends keyof Requests> {
  answer: Requests[N][1] | null;
  failure: Failure | null;
  busy: boolean;
  ask: () => void;
}

/** Asks at once, and again when the parameters or `version` change. The last answer stays while a new one is awaited. */
export function useRequest<N extends keyof Requests>(name: N, params: Requests[N][0], version: unknown = 0): Asked<N> {
  const port = usePort();
  const [state, setState] = useState<{ answer: Requests[N][1] | null; failure: Failure | null; busy: boolean }>({ answer: null, failure: null, busy: true });
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let current = true;
    setState(before => ({ ...before, busy: true }));
    port.request(name, params).then(
      answer => current && setState({ answer, failure: null, busy: false }),
      reason => current && setState(before => ({ ...before, failure: asFailure(reason), busy: false })),
    );
    return () => {
      current = false;
    };
  }, [port, name, JSON.stringify(params), version, asked]);
  return { ...state, ask: () => setAsked(asked + 1) };
}

/** An order given by a button: busy until it is answered, and what went wrong. */
export function useOrder(): { busy: string; failure: Failure | null; order: <A>(name: string, act: () => Promise<A>, then?: (answer: A) => void) => void; dismiss: () => void } {
  const [busy, setBusy] = useState('');
  const [failure, setFailure] = useState<Failure | null>(null);
  const order = <A,>(name: string, act: () => Promise<A>, then?: (answer: A) => void) => {
    if (busy) return;
    setBusy(name);
    setFailure(null);
    act().then(
      answer => {
        setBusy('');
        then?.(answer);
      },
      reason => {
        setBusy('');
        setFailure(asFailure(reason));
      },
    );
  };
  return { busy, failure, order, dismiss: () => setFailure(null) };
}
