import { useEffect, useState } from 'preact/hooks';
import type { Service } from '../protocol';
import { ago, exact } from './format';
import { icon } from './icons';
import { CopyButton, FailureMessage, IconButton, Mid } from './parts';
import { asFailure, readKey, usePort } from './port_context';
import type { Failure } from '../protocol';
import { t, translated } from './translation';
import { HEALTH_LOOKS } from './words';

const SHOWN_MS = 30_000; // how long a key stays on the page

/** What a caller of the service needs. */
export function Facts({ service }: { service: Service }) {
  const [failure, setFailure] = useState<Failure | null>(null);
  return (
    <>
      <dl class="mld-Facts">
        <div class="mld-Fact">
          <dt>{t`Scoring URI`}</dt>
          <dd>{service.scoringUri ? <><Mid text={service.scoringUri} code tail={11} /><CopyButton label={t`Copy the URI`} copy={() => service.scoringUri} /></> : <span class="mld-Muted">{t`None while it is stopped`}</span>}</dd>
        </div>
        <div class="mld-Fact">
          <dt>{service.auth === 'token' ? t`Token` : t`Key`}</dt>
          <dd>{service.auth === 'none' ? <span class="mld-Muted">{t`Not asked for`}</span> : <Key service={service} onFailure={setFailure} />}</dd>
        </div>
        <div class="mld-Fact">
          <dt>{t`Revision`}</dt>
          <dd><span class="mld-Dots mld-Cut" title={[service.revision, ...service.models].join(' · ')}><span>{service.revision || '–'}</span>{service.models.map(model => <span key={model}>{model}</span>)}</span></dd>
        </div>
        <div class="mld-Fact"><dt>{t`Health`}</dt><dd><Health service={service} /></dd></div>
      </dl>
      <FailureMessage failure={failure} onDismiss={() => setFailure(null)} />
    </>
  );
}

/** A key is hidden, shown for 30 s when asked for, and copied without being shown. It is asked for each time. */
function Key({ service, onFailure }: { service: Service; onFailure: (failure: Failure) => void }) {
  const port = usePort();
  const [shown, setShown] = useState('');
  useEffect(() => {
    const timer = shown ? setTimeout(() => setShown(''), SHOWN_MS) : undefined;
    return () => clearTimeout(timer);
  }, [shown]);
  const isToken = service.auth === 'token';
  const read = async () => {
    try {
      return await readKey(port, service);
    } catch (reason) {
      onFailure(asFailure(reason));
      throw reason;
    }
  };
  const toggle = () => {
    if (shown) setShown('');
    else read().then(setShown, () => undefined);
  };
  return (
    <>
      {shown ? <Mid text={shown} code tail={4} /> : <code><span aria-hidden="true">••••••••••••</span><span class="mld-VisuallyHidden">{t`hidden`}</span></code>}
      <IconButton icon="eye" label={isToken ? t`Show the token` : t`Show the key`} title={shown ? t`Hide` : t`Show for 30 s`} pressed={!!shown} onClick={toggle} />
      <CopyButton label={isToken ? t`Copy the token` : t`Copy the key`} copy={read} />
    </>
  );
}

function Health({ service }: { service: Service }) {
  const { state, text, checked } = service.health;
  const look = HEALTH_LOOKS[service.state === 'stopped' ? 'stopped' : state];
  return (
    <>
      <span class="mld-State" data-state={look.state} title={text}>{icon(look.icon)}{translated(look.word)}</span>
      {checked && <Ago time={checked} />}
    </>
  );
}

/** How long ago, kept true. */
export function Ago({ time }: { time: string }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick(count => count + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
  return <span class="mld-Muted mld-Cut" title={exact(time)}>&ensp;{ago(time)}</span>;
}
