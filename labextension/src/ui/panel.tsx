import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Port, Service, ServiceRef, Timeline } from '../protocol';
import { ApiTab } from './api_tab';
import { Cause } from './cause';
import { CodeTab } from './code_tab';
import { DeleteQuestion } from './delete_question';
import { Facts } from './facts';
import { clock } from './format';
import { History } from './history';
import { Icon } from './icons';
import { LogView } from './log';
import { LogBuffer } from './log_buffer';
import { Announcer, Button, CopyButton, FailureMessage, Fold, Marked, Menu, type MenuItem, Mid, writeClipboard } from './parts';
import { PortProvider, asFailure, useOrder, usePort, useTopic } from './port_context';
import { ServiceLog } from './service_log';
import { SettingsTab } from './settings_tab';
import { Stages, useSecondsSince } from './stages';
import { Tabs, type TabSpec } from './tabs';
import { TestTab } from './test_tab';
import { DEPLOYMENT_LOOKS, SERVICE_LOOKS, announcement, deploymentWord, elapsedWord, isRunning, note, revisionWord, sinceWord, summary } from './words';

export interface PanelProps extends ServiceRef {
  /** The deployment that the panel was opened for. Without one it shows the service's last. */
  deployment?: string;
  /** That deployment as it began, which is drawn until more is known. */
  timeline?: Timeline | undefined;
  /** A tab to choose. Another object chooses it again. */
  show?: { tab: Service['tabs'][number] };
}

/** What the header says while an order from its menu is carried out. */
const ACTING: Record<string, string> = { stop: 'Stopping…', start: 'Starting…', restart: 'Restarting…', reload: 'Reloading…' };

const CANCEL_PATIENCE = 5000; // milliseconds after which the Cancel button comes back

export function Panel({ port, ...props }: PanelProps & { port: Port }) {
  return (
    <PortProvider value={port}>
      <PanelBody {...props} />
    </PortProvider>
  );
}

function PanelBody({ service: name, workspace, deployment: pinned, timeline: begun, show }: PanelProps) {
  const port = usePort();
  const place = workspace ? { workspace } : {};
  const ref: ServiceRef = { service: name, ...place };
  const [service, setService] = useState<Service | null>(null);
  const [timeline, setTimeline] = useState<Timeline | null>(begun ?? null);
  const [watched, setWatched] = useState(pinned ?? '');
  const [tab, setTab] = useState('test');
  const [unfolded, setUnfolded] = useState(false);
  const [goTo, setGoTo] = useState<{ stage: string; at: number }>();
  const [deleting, setDeleting] = useState(false);
  const [servingOpen, setServingOpen] = useState(false);
  const [notCancelled, setNotCancelled] = useState('');
  const orders = useOrder();

  const serviceLost = useTopic('service', ref, event => setService(event.service));
  const buffer = useMemo(() => new LogBuffer(), [watched]);
  const deploymentLost = useTopic(watched ? 'deployment' : null, { deployment: watched, ...place }, event => {
    if (event.timeline) setTimeline(event.timeline);
    if (event.lines || event.lost) buffer.append(event.lines ?? [], event.lost);
  });
  const lost = serviceLost ?? deploymentLost;

  // A panel that was not opened for one deployment, or whose deployment went live, goes on with the service's next.
  const shown = timeline?.deployment === watched ? timeline : null;
  const follows = !watched || (!!shown && !isRunning(shown) && (!pinned || shown.state === 'live') && service?.deployment !== watched);
  useEffect(() => {
    if (follows && service?.deployment) setWatched(service.deployment);
  }, [follows, service?.deployment]);

  const begin = (deployment: string) => {
    if (deployment) setWatched(deployment);
  };
  // Where little happened one line says it; stages and log are folded below.
  const brief = !!shown && (shown.state === 'not-started' || shown.state === 'cancelled' || shown.state === 'interrupted');
  const since = useSecondsSince(shown, !!shown && isRunning(shown) && !lost);
  const serves = !!service && !!service.revision && service.state !== 'deleted';
  const ended = !!shown && !isRunning(shown);
  const showsService = !!service && (!shown || shown.state === 'live' || service.state === 'deleted');
  // What a cell's deployment came to stays there; a later one is a click away.
  const superseded = !!service && !!shown && !showsService && ended && !!service.deployment && shown.deployment !== service.deployment;
  const folds = !!shown && ((showsService && shown.state === 'live') || (!showsService && brief && shown.state !== 'not-started'));
  const told = showsService ? null : shown; // the deployment that the header is about; else it is about the service
  const word = told ? deploymentWord(told) : service ? SERVICE_LOOKS[service.state].word : '';
  const label = `${name}, ${(lost ? 'last known: ' : '') + (word || 'loading').toLowerCase()}`;

  const chooseSettings = () => {
    setTab('settings');
    setServingOpen(true);
    requestAnimationFrame(() => root.current?.querySelector<HTMLElement>('[data-tab=settings] :is(input, select, textarea)')?.focus());
  };
  const root = useRef<HTMLElement>(null);

  useEffect(() => setNotCancelled(''), [shown?.deployment, shown?.state]);
  useEffect(() => {
    if (!show) return;
    setTab(show.tab);
    setServingOpen(true);
  }, [show]);

  const act = {
    cancel: async () => shown && port.request('deployment.cancel', { deployment: shown.deployment, ...place }),
    retry: () => shown && orders.order('retry', () => port.request('deployment.retry', { deployment: shown.deployment, ...place }), answer => begin(answer.deployment)),
    report: async () => (await port.request('deployment.report', { deployment: watched, ...place })).markdown,
    simple: (order: 'restart' | 'stop' | 'start') => orders.order(order, () => port.request(`service.${order}`, ref)),
    reload: () => orders.order('reload', () => port.request('service.reload', ref), answer => begin(answer.deployment)),
  };

  const can = (order: Service['can'][number]) => !!service?.can.includes(order);
  const menu: MenuItem[] = [];
  if (shown?.can.includes('report')) menu.push({ label: 'Copy report', act: () => void act.report().then(copyQuietly) });
  if (service?.scoringUri) menu.push({ label: 'Copy scoring URI', act: () => void copyQuietly(service.scoringUri) });
  if (port.openPanel) menu.push({ label: 'Open in Lab', act: () => port.openPanel?.(ref) });
  if (serves && can('update')) menu.push({ label: 'Update…', act: chooseSettings });
  if (can('reload')) menu.push({ label: 'Reload the entry script', act: act.reload });
  if (can('rollback')) menu.push({ label: 'Roll back…', act: () => { setTab('history'); setServingOpen(true); } });
  if (can('restart')) menu.push({ label: 'Restart', act: () => act.simple('restart') });
  if (can('stop')) menu.push({ label: 'Stop', act: () => act.simple('stop') });
  if (can('start')) menu.push({ label: 'Start', act: () => act.simple('start') });
  if (can('delete')) menu.push({ label: 'Delete…', act: () => setDeleting(true), danger: true });

  return (
    <section class="mld mld-Panel" aria-label={label} ref={root}>
      <Announcer text={told ? announcement(told) : service ? `${SERVICE_LOOKS[service.state].word}.${serves && service.state === 'live' ? ` Revision ${service.revision} serves at ${service.scoringUri}` : ''}` : ''} />
      <header class="mld-Head">
        <State look={lost ? SERVICE_LOOKS.unknown : told ? DEPLOYMENT_LOOKS[told.state] : SERVICE_LOOKS[service?.state ?? 'unknown']} />
        <h3 class="mld-Head-name"><Mid text={name} /></h3>
        <p class="mld-Head-meta">
          <span class="mld-Word"><bdi>{lost ? `Was ${word ? word.toLowerCase() : 'unknown'}` : ACTING[orders.busy] ?? (word || 'Loading')}</bdi></span>
          {told ? (
            <>
              <Meta text={told.targetTitle} optional={!!revisionWord(told)} />
              <Meta text={revisionWord(told)} />
              {isRunning(told) ? <span role="timer" aria-live="off"><bdi>{elapsedWord(told, since)}</bdi></span> : <Meta text={elapsedWord(told, 0)} />}
            </>
          ) : service ? (
            <>
              <Meta text={service.targetTitle} />
              <Meta text={sinceWord(service)} />
            </>
          ) : null}
        </p>
        <div class="mld-Actions">
          {shown && isRunning(shown) && shown.can.includes('cancel') && !lost ? <Cancel timeline={shown} cancel={act.cancel} onSlow={setNotCancelled} /> : null}
          {told && ended && told.state === 'failed' && told.can.includes('report') ? <span class="mld-mod-optional"><CopyButton label="Copy report" copy={act.report}>Copy report</CopyButton></span> : null}
          {told && ended && told.can.includes('retry') && !lost && !superseded ? <Button kind="primary" busy={orders.busy === 'retry'} onClick={act.retry}>{told.state === 'failed' ? 'Retry' : 'Deploy again'}</Button> : null}
          {superseded ? <Button onClick={() => setWatched(service.deployment)}>Show the newest</Button> : null}
          {showsService && port.openPanel ? <Button optional onClick={() => port.openPanel?.(ref)}>Open in Lab</Button> : null}
          {showsService && can('start') && service?.state === 'stopped' && !lost ? <Button kind="primary" busy={orders.busy === 'start'} onClick={() => act.simple('start')}>{orders.busy === 'start' ? 'Starting…' : 'Start'}</Button> : null}
          {showsService && can('update') && service?.state !== 'stopped' && !lost ? <Button onClick={chooseSettings}>Update…</Button> : null}
          <Menu items={lost ? [] : menu} />
        </div>
      </header>
      {lost ? <p class="mld-Note">Nothing has been heard since {clock(lost, true)}. What is below was true then; services keep running. Run the cell again to see them.</p> : null}
      {notCancelled && shown && isRunning(shown) && !lost ? <p class="mld-Note" role="status"><Marked text={notCancelled} /></p> : null}
      {orders.failure ? <FailureMessage failure={orders.failure} onDismiss={orders.dismiss} /> : null}
      {deleting && service ? <DeleteQuestion service={service} onKeep={() => setDeleting(false)} onDeleted={() => setDeleting(false)} /> : null}
      {service?.state === 'deleted' ? <p class="mld-Note">It was deleted, with its processes, keys and revisions. Its models stay registered.</p> : null}
      {told && brief ? <p class="mld-Note">{note(told)}</p> : null}
      {superseded ? <p class="mld-Note">Another deployment has begun since{service.revision ? `; revision ${service.revision} serves` : ''}.</p> : null}
      {told?.cause ? <Cause cause={told.cause} /> : null}
      {showsService && service?.error && service.state !== 'live' ? <FailureMessage failure={service.error} /> : null}

      {serves && showsService ? <Facts service={service} /> : null}
      {shown && folds ? (
        <Fold open={unfolded} onFold={() => setUnfolded(!unfolded)}>
          <span>{brief ? 'Stages and log' : summary(shown)[0]}</span>
          <span class="mld-Muted mld-Cut">{brief ? '' : summary(shown)[1]}</span>
        </Fold>
      ) : null}
      {shown && (folds ? unfolded : shown.state !== 'not-started' && !showsService) ? (
        <div class="mld-Watch">
          <Stages timeline={shown} secondsSince={since} onPick={stage => setGoTo({ stage, at: Date.now() })} />
          <LogView
            buffer={buffer}
            label="Deployment log"
            stages={shown.stages}
            goTo={goTo}
            download={() => port.request('deployment.logText', { deployment: shown.deployment, ...place })}
            empty={isRunning(shown) ? 'What the deployment prints will appear here.' : 'The deployment printed nothing.'}
          />
        </div>
      ) : null}
      {serves && service && (showsService || (shown?.serving && !superseded)) && service.tabs.length ? (
        <>
          {showsService ? null : (
            <Fold class="mld-mod-last" open={servingOpen} onFold={() => setServingOpen(!servingOpen)}>
              <span>Revision {service.revision} serves</span>
              <span class="mld-Muted mld-Cut">Test, logs, history and settings</span>
            </Fold>
          )}
          <div hidden={!showsService && !servingOpen}><Tabs label={name} chosen={tab} onChoose={setTab} tabs={tabs()} /></div>
        </>
      ) : null}
    </section>
  );

  function tabs(): TabSpec[] {
    if (!service) return [];
    const all: Record<Service['tabs'][number], TabSpec> = {
      test: { id: 'test', label: 'Test', draw: () => <TestTab service={service} /> },
      logs: { id: 'logs', label: 'Logs', draw: () => <ServiceLog service={service} /> },
      api: { id: 'api', label: 'API', draw: () => <ApiTab service={service} onTry={() => setTab('test')} /> },
      code: { id: 'code', label: 'Code', draw: () => <CodeTab service={service} /> },
      history: { id: 'history', label: 'History', draw: () => <History service={service} onBegun={begin} /> },
      settings: { id: 'settings', label: 'Settings', draw: () => <SettingsTab service={service} onBegun={begin} /> },
    };
    return service.tabs.map(id => all[id]).filter(Boolean);
  }
}

function copyQuietly(text: string): void {
  writeClipboard(text).catch(() => undefined);
}

function State({ look }: { look: { icon: Parameters<typeof Icon>[0]['name']; state: string; spin?: boolean } }) {
  return <span class="mld-State" data-state={look.state}><Icon name={look.icon} spin={look.spin} /></span>;
}

function Meta({ text, optional }: { text: string; optional?: boolean }) {
  return text ? <span class={optional ? 'mld-mod-optional' : undefined}><bdi>{text}</bdi></span> : null;
}

/** Answers at once, in the browser. The old revision keeps serving, so no question is asked. */
function Cancel({ timeline, cancel, onSlow }: { timeline: Timeline; cancel: () => Promise<unknown>; onSlow: (hint: string) => void }) {
  const [asked, setAsked] = useState(false);
  const notYet = (why: string) => {
    setAsked(false);
    onSlow(`${why} In a terminal: \`mldeploy service cancel ${timeline.service}\``);
  };
  useEffect(() => {
    const timer = asked ? setTimeout(() => notYet('It is not cancelled yet.'), CANCEL_PATIENCE) : undefined;
    return () => clearTimeout(timer);
  }, [asked]);
  return (
    <Button
      busy={asked}
      onClick={() => {
        setAsked(true);
        onSlow('');
        cancel().catch(reason => notYet(`${asFailure(reason).error}.`));
      }}
    >
      {asked ? 'Cancelling…' : 'Cancel'}
    </Button>
  );
}
