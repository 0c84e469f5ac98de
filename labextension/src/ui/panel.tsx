import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Port, Service, ServiceRef, Timeline } from '../protocol';
import { Cause } from './cause';
import { CodeTab } from './code_tab';
import { DeleteQuestion } from './delete_question';
import { Facts } from './facts';
import { clock } from './format';
import { History } from './history';
import { type IconName, icon } from './icons';
import { LogView } from './log/log';
import { LogBuffer } from './log/log_buffer';
import { Announcer, Button, CopyButton, FailureMessage, Fold, Marked, Menu, type MenuItem, Mid, focusControl, tellCutText, writeClipboard } from './parts';
import { PortProvider, asFailure, useOrder, usePort, useTopic } from './port_context';
import { ServiceLog } from './log/service_log';
import { SettingsTab } from './settings_tab';
import { Api, Latency } from './part';
import { Stages, useSecondsSince } from './stages';
import { Tabs, type TabSpec } from './tabs';
import { TestTab } from './inline_test/test_tab';
import { msg, t, translated } from './translation';
import { DEPLOYMENT_LOOKS, ORDER_WORDS, SERVICE_LOOKS, SIMPLE, announcement, deploymentWord, elapsedWord, isRunning, revisionWord, sinceWord, summary } from './words';

export interface PanelProps extends ServiceRef {
  /** The deployment that the panel was opened for. Without one it shows the service's last. */
  deployment?: string;
  /** That deployment as it began, which is drawn until more is known. */
  timeline?: Timeline | undefined;
  /** Whether it begins just now: what served before is no news, and nothing is drawn until its timeline is there. */
  begins?: boolean;
  /** A tab to choose. Another object chooses it again. */
  show?: { tab: Service['tabs'][number] };
}

/** What the header says while an order from its menu is carried out. */
const ACTING: Record<string, string> = { stop: msg`Stopping…`, start: msg`Starting…`, restart: msg`Restarting…`, reload: msg`Reloading…` };

const TABS: Record<Service['tabs'][number], string> = { test: msg`Test`, logs: msg`Logs`, latency: msg`Latency`, api: msg`API`, code: msg`Code`, history: msg`History`, settings: msg`Settings` };

/** States that one line explains. */
const BRIEF = ['not-started', 'cancelled', 'interrupted'];

const CANCEL_PATIENCE = 5000; // milliseconds after which the Cancel button comes back

export function Panel({ port, ...props }: PanelProps & { port: Port }) {
  return (
    <PortProvider value={port}>
      <PanelBody {...props} />
    </PortProvider>
  );
}

function PanelBody({ service: name, workspace, deployment: pinned, timeline: begun, begins, show }: PanelProps) {
  const port = usePort();
  const place = workspace ? { workspace } : {};
  const ref: ServiceRef = { service: name, ...place };
  const [heard, setService] = useState<Service | null>(null);
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
  const service = begins && !timeline && !lost ? null : heard;

  // A panel that was not opened for one deployment, or whose deployment went live, continues with the service's next.
  const shown = timeline?.deployment === watched ? timeline : null;
  // What is heard of the service may be older than that deployment, until it has named it.
  const named = useRef(begun || begins ? '' : pinned);
  if (heard?.deployment === watched) named.current = watched;
  const follows = !watched || (named.current === watched && !!shown && !isRunning(shown) && (!pinned || shown.state === 'live'));
  useEffect(() => {
    if (follows && service?.deployment) setWatched(service.deployment);
  }, [follows, service?.deployment]);

  const begin = (deployment: string) => {
    if (deployment) setWatched(deployment);
  };
  // Where little happened one line says it; stages and log are folded below.
  const brief = !!shown && BRIEF.includes(shown.state);
  const since = useSecondsSince(shown, !!shown && isRunning(shown) && !lost);
  const serves = !!service && !!service.revision && service.state !== 'deleted';
  const ended = !!shown && !isRunning(shown);
  const showsService = !!service && (!shown || shown.state === 'live' || service.state === 'deleted');
  // What a cell's deployment came to stays there; a later one is a click away.
  const superseded = !!service && !!shown && !showsService && ended && !!service.deployment && shown.deployment !== service.deployment;
  // Until something is heard of the next deployment, the fold stays, so that nothing jumps.
  const kept = shown ?? (showsService && timeline?.state === 'live' ? timeline : null);
  const folds = !!kept && ((showsService && kept.state === 'live') || (!showsService && brief && kept.state !== 'not-started'));
  const told = showsService ? null : shown; // the deployment that the header is about; else it is about the service
  const note = !superseded || shown.state === 'not-started'
    ? brief && told?.message
    : service.revision ? t`Another deployment has begun since; revision ${service.revision} serves.` : t`Another deployment has begun since.`;
  const word = told ? deploymentWord(told) : service ? translated(SERVICE_LOOKS[service.state].word) : '';
  const quiet = (word || t`Loading`).toLowerCase();
  const label = `${name}, ${lost ? t`last known: ${quiet}` : quiet}`;

  const chooseSettings = () => {
    setTab('settings');
    setServingOpen(true);
    focusControl(root, '[data-tab=settings]');
  };
  const root = useRef<HTMLElement>(null);

  useEffect(() => setNotCancelled(''), [shown?.deployment, shown?.state]);
  useEffect(() => {
    if (!show) return;
    setTab(show.tab);
    setServingOpen(true);
  }, [show]);

  const cancel = async () => shown && port.request('deployment.cancel', { deployment: shown.deployment, ...place });
  const retry = () => shown && orders.order('retry', () => port.request('deployment.retry', { deployment: shown.deployment, ...place }), answer => begin(answer.deployment));
  const readReport = async () => (await port.request('deployment.report', { deployment: watched, ...place })).markdown;
  const carryOut = (order: (typeof SIMPLE)[number]) => orders.order(order, () => port.request(`service.${order}`, ref));
  const reload = () => orders.order('reload', () => port.request('service.reload', ref), answer => begin(answer.deployment));

  const can = (order: Service['can'][number]) => !!service?.can.includes(order);
  const menu = [
    shown?.can.includes('report') && { label: t`Copy report`, act: () => void readReport().then(copyQuietly) },
    service?.scoringUri && { label: t`Copy scoring URI`, act: () => void copyQuietly(service.scoringUri) },
    port.openPanel && { label: t`Open in Lab`, act: () => port.openPanel?.(ref) },
    serves && can('update') && { label: t`Update…`, act: chooseSettings },
    can('reload') && { label: t`Reload the entry script`, act: reload },
    can('rollback') && { label: t`Roll back…`, act: () => { setTab('history'); setServingOpen(true); } },
    ...SIMPLE.filter(can).map(order => ({ label: translated(ORDER_WORDS[order]), act: () => carryOut(order) })),
    can('delete') && { label: t`Delete…`, act: () => setDeleting(true), danger: true },
  ].filter(Boolean) as MenuItem[];

  return (
    <section class="mld mld-Panel" aria-label={label} data-service={name} data-workspace={service?.workspace ?? workspace} ref={root} onPointerOver={tellCutText}>
      <Announcer text={told ? announcement(told) : service ? `${word}.${serves && service.state === 'live' ? ` ${t`Revision ${service.revision} serves at ${service.scoringUri}`}` : ''}` : ''} />
      <header class="mld-Head">
        <State look={lost ? SERVICE_LOOKS.unknown : told ? DEPLOYMENT_LOOKS[told.state] : SERVICE_LOOKS[service?.state ?? 'unknown']} />
        <h3 class="mld-Head-name" style={{ '--n': String(name.length) }}><Mid text={name} /></h3>
        <p class="mld-Head-meta">
          <span class="mld-Word"><bdi>{lost ? t`Was ${(word || translated(SERVICE_LOOKS.unknown.word)).toLowerCase()}` : translated(ACTING[orders.busy] ?? '') || word || t`Loading`}</bdi></span>
          {told ? (
            <>
              <Meta text={translated(told.targetTitle)} optional={!!revisionWord(told)} />
              <Meta text={revisionWord(told)} />
              {isRunning(told) ? <span role="timer" aria-live="off"><bdi>{elapsedWord(told, since)}</bdi></span> : <Meta text={elapsedWord(told, 0)} />}
            </>
          ) : service ? (
            <>
              <Meta text={translated(service.targetTitle)} />
              <Meta text={sinceWord(service)} />
            </>
          ) : null}
        </p>
        <div class="mld-Actions">
          {shown && isRunning(shown) && shown.can.includes('cancel') && !lost && <Cancel timeline={shown} cancel={cancel} onSlow={setNotCancelled} />}
          {told && ended && told.state !== 'cancelled' && !superseded && told.can.includes('report') && <span class="mld-mod-optional"><CopyButton label={t`Copy report`} copy={readReport}>{t`Copy report`}</CopyButton></span>}
          {told && ended && told.can.includes('retry') && !lost && !superseded && <Button kind="primary" busy={orders.busy === 'retry'} onClick={retry}>{told.state === 'failed' ? t`Retry` : t`Deploy again`}</Button>}
          {superseded && <Button onClick={() => setWatched(service.deployment)}>{t`Show the newest`}</Button>}
          {showsService && port.openPanel && <Button optional onClick={() => port.openPanel?.(ref)}>{t`Open in Lab`}</Button>}
          {showsService && can('start') && service?.state === 'stopped' && !lost && <Button kind="primary" busy={orders.busy === 'start'} onClick={() => carryOut('start')}>{orders.busy === 'start' ? t`Starting…` : t`Start`}</Button>}
          {showsService && can('update') && service?.state !== 'stopped' && !lost && <Button onClick={chooseSettings}>{t`Update…`}</Button>}
          <Menu items={lost ? [] : menu} />
        </div>
      </header>
      {lost && <p class="mld-Note">{t`Nothing has been heard since ${clock(lost, true)}. What is below was true then; services keep running.`} {port.reconnect ? t`It is tried again until there is an answer.` : t`It continues once the page is connected again. After a restart of the kernel, run the cell again.`}</p>}
      {notCancelled && shown && isRunning(shown) && !lost && <p class="mld-Note" role="status"><Marked text={notCancelled} /></p>}
      <FailureMessage failure={orders.failure} onDismiss={orders.dismiss} />
      {deleting && service && <DeleteQuestion service={service} onKeep={() => setDeleting(false)} onDeleted={() => setDeleting(false)} />}
      {service?.state === 'deleted' && <p class="mld-Note">{t`It was deleted, with its processes, keys and revisions. Its models stay registered.`}</p>}
      {note && <p class="mld-Note">{note}</p>}
      {told?.cause && <Cause cause={told.cause} />}
      {showsService && service?.error && !/live|deleted/.test(service.state) && <FailureMessage failure={service.error} />}

      {serves && showsService && <Facts service={service} />}
      {kept && folds && (
        <Fold open={unfolded} onFold={() => setUnfolded(!unfolded)}>
          <span>{brief ? t`Stages and log` : summary(kept)[0]}</span>
          {!brief && <span class="mld-Muted mld-Cut">{summary(kept)[1]}</span>}
        </Fold>
      )}
      {kept && (folds ? unfolded : kept.state !== 'not-started' && !showsService) ? (
        <div class="mld-Watch">
          <Stages timeline={kept} secondsSince={since} onPick={stage => setGoTo({ stage, at: Date.now() })} />
          <LogView
            buffer={buffer}
            label={t`Deployment log`}
            stages={kept.stages}
            goTo={goTo}
            download={() => port.request('deployment.logText', { deployment: kept.deployment, ...place })}
            empty={isRunning(kept) ? t`What the deployment prints will appear here.` : t`The deployment printed nothing.`}
          />
        </div>
      ) : null}
      {serves && service && (showsService || (shown?.serving && !superseded)) && service.tabs.length ? (
        <>
          {showsService ? null : (
            <Fold class="mld-mod-last" open={servingOpen} onFold={() => setServingOpen(!servingOpen)}>
              <span>{t`Revision ${service.revision} serves`}</span>
              <span class="mld-Muted mld-Cut">{t`Test, logs, history and settings`}</span>
            </Fold>
          )}
          <div hidden={!showsService && !servingOpen}><Tabs label={name} chosen={tab} onChoose={setTab} tabs={tabs(service)} /></div>
        </>
      ) : null}
    </section>
  );

  function tabs(shown: Service): TabSpec[] {
    const draw: Record<Service['tabs'][number], TabSpec['draw']> = {
      test: () => <TestTab service={shown} />,
      logs: () => <ServiceLog service={shown} />,
      latency: () => <Latency show="LatencyTab" service={shown} />,
      api: () => <Api show="ApiTab" service={shown} onTry={() => setTab('test')} />,
      code: () => <CodeTab service={shown} />,
      history: () => <History service={shown} onBegun={begin} />,
      settings: () => <SettingsTab service={shown} onBegun={begin} />,
    };
    const known = shown.tabs.filter(id => id in draw && (port.loadPart || !/latency|api/.test(id)));
    return known.map(id => ({ id, label: translated(TABS[id]), draw: draw[id] }));
  }
}

function copyQuietly(text: string): void {
  writeClipboard(text).catch(() => undefined);
}

function State({ look }: { look: { icon: IconName; state: string; spin?: boolean } }) {
  return <span class="mld-State" data-state={look.state}>{icon(look.icon, { spin: look.spin })}</span>;
}

function Meta({ text, optional }: { text: string; optional?: boolean }) {
  return text ? <span class={optional ? 'mld-mod-optional' : undefined}><bdi>{text}</bdi></span> : null;
}

/** Answers at once, in the browser. The old revision keeps serving, so no question is asked. */
function Cancel({ timeline, cancel, onSlow }: { timeline: Timeline; cancel: () => Promise<unknown>; onSlow: (hint: string) => void }) {
  const [asked, setAsked] = useState(false);
  const notYet = (why: string) => {
    setAsked(false);
    onSlow(`${why} ${t`In a terminal:`} \`mldeploy service cancel ${timeline.service}\``);
  };
  useEffect(() => {
    const timer = asked ? setTimeout(() => notYet(t`It is not cancelled yet; the kernel may be busy with a cell.`), CANCEL_PATIENCE) : undefined;
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
      {asked ? t`Cancelling…` : t`Cancel`}
    </Button>
  );
}
