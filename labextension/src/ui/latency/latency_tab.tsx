import type { LatencyLoad, LatencyReport, LatencyRow, Service } from '../../protocol';
import { ReportView } from './run_view';
import { latencyText } from './scale';
import { Awaited, Button, FailureMessage, Message, Pick, Segments, elapsed, listed, moment, msg, plural, refOf, t, translated, useEffect, useId, useOrder, usePort, useRequest, useState, useTopic, withValue } from '../shared';

/** Measures the service, and shows the run in progress or the last one. A run belongs to the workspace, not to the page. */
export function LatencyTab({ service }: { service: Service }) {
  const port = usePort();
  const ref = refOf(service);
  const { answer: runs, failure, ask } = useRequest('latency.runs', ref);
  const [chosen, setChosen] = useState('');
  const [asking, setAsking] = useState(false);
  const [report, setReport] = useState<LatencyReport | null>(null);
  const orders = useOrder();
  const going = runs?.find(one => one.state === 'running')?.run;
  const run = chosen || going || runs?.[0]?.run || '';

  useTopic(run ? 'latency' : null, { run, workspace: service.workspace }, event => {
    if (event.report.run === run) setReport(event.report);
  });
  const shown = report?.run === run ? report : null;
  const running = shown?.state === 'running';
  useEffect(() => {
    if (shown && !running) ask(); // its row has numbers now
  }, [shown?.run, running]);

  const start = (load: LatencyLoad) =>
    orders.order('start', () => port.request('latency.start', { ...ref, ...load }), ({ run: begun }) => {
      setChosen(begun);
      setAsking(false);
      ask();
    });
  const stop = () => orders.order('stop', () => port.request('latency.stop', { run, workspace: service.workspace }));
  const live = service.state === 'live' || service.state === 'updating';
  if (!runs) return <Awaited failure={failure}>{t`Reading the runs of this service…`}</Awaited>;
  const open = asking || (!run && live);
  return (
    <div class="mld-Pane mld-Stack">
      <div class="mld-Row">
        <h4 class="mld-H mld-Grow mld-Cut">{running ? t`Measuring` : shown?.ramp ? t`Latency over the rate` : t`Latency by percentile`}</h4>
        {runs.length > 1 && !running && <Pick optional label={t`Run`} value={run} options={runs.map(one => [one.run, runText(one)])} onPick={setChosen} />}
        {shown && !running && port.insertCell && <Button optional onClick={() => port.insertCell?.(plotlyCell(shown))}>{t`Open as plotly`}</Button>}
        {running && <Button busy={orders.busy === 'stop'} onClick={stop}>{orders.busy === 'stop' ? t`Stopping…` : t`Stop`}</Button>}
        {run && !running && live && !asking && <Button onClick={() => setAsking(true)}>{t`Measure again…`}</Button>}
      </div>
      <FailureMessage failure={orders.failure} onDismiss={orders.dismiss} />
      {open && <LoadForm busy={orders.busy === 'start'} onRun={start} onKeep={run ? () => setAsking(false) : undefined} service={service} />}
      {running && <Progress report={shown} />}
      {!run && !live && <p class="mld-Muted">{t`Nothing has been measured yet. Start the service to measure it.`}</p>}
      {!run && live && <p class="mld-Muted">{t`Nothing has been measured yet. A run sends requests from a process of its own and shows here how long they take.`}</p>}
      {run && (shown ? <ReportView report={shown} /> : <p class="mld-Muted">{t`Reading the run…`}</p>)}
    </div>
  );
}

function Progress({ report }: { report: LatencyReport }) {
  const share = Math.min(1, report.elapsedSeconds / (report.seconds || 1));
  const left = Math.max(0, Math.ceil(report.seconds - report.elapsedSeconds));
  return (
    <div class="mld-Row">
      <span class="mld-Bar mld-Grow" role="progressbar" aria-label={t`Measured`} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}><i class="mld-Bar-fill" style={{ inlineSize: `${100 * share}%` }} /></span>
      <span class="mld-Muted"><bdi>{left ? t`about ${elapsed(left)} left` : t`ends soon`}</bdi></span>
    </div>
  );
}

type Loop = 'rate' | 'users' | 'ramp';
const LOOPS: [Loop, string, string][] = [
  ['rate', msg`At a rate`, msg`Requests leave when they are due, however slow the answers are.`],
  ['users', msg`By users`, msg`Each user sends the next request when the last is answered: a slow service gets fewer.`],
  ['ramp', msg`In steps`, msg`One rate after the other, until fewer than half are answered: how much the service bears.`],
];
const BODIES: [string, string][] = [['sample', msg`The service’s sample`], ['json', msg`JSON of your own`]];

/** What a run sends. An empty rate lets the run choose one. */
function LoadForm({ service, busy, onRun, onKeep }: { service: Service; busy: boolean; onRun: (load: LatencyLoad) => void; onKeep: (() => void) | undefined }) {
  const [loop, setLoop] = useState<Loop>('rate');
  const [rate, setRate] = useState('');
  const [users, setUsers] = useState('8');
  const [ramp, setRamp] = useState({ from: '50', to: '800', steps: '5' });
  const [seconds, setSeconds] = useState('');
  const samples = useRequest('service.samples', refOf(service), service.revision);
  const hasSample = !samples.answer || samples.answer.length > 0; // until it is known, as most have
  const [picked, setPayload] = useState('sample');
  const payload = hasSample ? picked : 'json';
  const [json, setJson] = useState('');
  const [tried, setTried] = useState(false);
  const id = useId();
  const problems: Record<string, string> = {};
  const limit = (name: string, text: string, least: number, most: number, whole: boolean, blank = false) => {
    const value = Number(text);
    if ((blank && !text.trim()) || (text.trim() && value >= least && value <= most && (!whole || Number.isInteger(value)))) return;
    const limitText = most.toLocaleString('en-US');
    problems[name] = [
      text.trim() ? t`${text.trim()} does not fit.` : t`A number is needed.`,
      whole ? t`Give a whole number from ${least} to ${limitText}.` : t`Give a number from ${least} to ${limitText}.`,
    ].join(' ');
  };
  if (loop === 'rate') limit('rate', rate, 0.1, 20_000, false, true);
  else if (loop === 'users') limit('users', users, 1, 10_000, true);
  else {
    limit('from', ramp.from, 0.1, 20_000, false);
    limit('to', ramp.to, 0.1, 20_000, false);
    limit('steps', ramp.steps, 2, 50, true);
  }
  limit('seconds', seconds, 0.1, 86_400, false, true);
  if (payload === 'json') {
    try {
      JSON.parse(json);
    } catch {
      problems['json'] = t`This is not JSON.`;
    }
  }
  const load = (): LatencyLoad => {
    if (loop === 'users') return { users: Number(users) };
    if (loop === 'ramp') return { ramp: [ramp.from, ramp.to, ramp.steps].map(Number).join(':') };
    return rate.trim() ? { rate: Number(rate) } : {};
  };
  const run = () => {
    setTried(true);
    const [wrong] = Object.keys(problems);
    if (wrong) document.getElementById(`${id}-${wrong}`)?.focus();
    else onRun({ ...load(), ...(seconds.trim() ? { duration: Number(seconds) } : {}), ...(payload === 'json' ? { body: { json } } : {}) });
  };
  const number = (name: string, label: string, value: string, onText: (text: string) => void, unit: string, placeholder = '') => (
    <div class="mld-Field">
      <label class="mld-Label" for={`${id}-${name}`}>{label}</label>
      <div class="mld-Inline">
        <input class="mld-Input mld-Narrow" id={`${id}-${name}`} inputMode="decimal" value={value} placeholder={placeholder} aria-invalid={tried && name in problems} aria-describedby={`${id}-${name}-said`} onInput={withValue(onText)} />
        <span class="mld-Unit" id={tried && problems[name] ? undefined : `${id}-${name}-said`}>{unit}</span>
      </div>
      {tried && problems[name] && <Message id={`${id}-${name}-said`} text={problems[name]} />}
    </div>
  );
  return (
    <div class="mld-Stack mld-Load" role="group" aria-label={t`Load on ${service.service}`} onKeyDown={event => event.key === 'Enter' && (event.target as Element).matches('input') && run()}>
      <div class="mld-Row">
        <Segments label={t`Load`} value={loop} options={LOOPS.map(([id, text]): [Loop, string] => [id, translated(text)])} onPick={setLoop} />
        <span class="mld-Muted mld-Cut">{translated(LOOPS.find(([id]) => id === loop)![2])}</span>
      </div>
      {loop === 'rate' && number('rate', t`Rate`, rate, setRate, t`requests a second; empty for one that is chosen`, t`chosen`)}
      {loop === 'users' && number('users', t`Users`, users, setUsers, t`who wait for their answers`)}
      {loop === 'ramp' && number('from', t`From`, ramp.from, from => setRamp({ ...ramp, from }), t`requests a second`)}
      {loop === 'ramp' && number('to', t`To`, ramp.to, to => setRamp({ ...ramp, to }), t`requests a second`)}
      {loop === 'ramp' && number('steps', t`Steps`, ramp.steps, steps => setRamp({ ...ramp, steps }), t`each faster by the same factor`)}
      {loop === 'rate'
        ? number('seconds', t`Duration`, seconds, setSeconds, t`seconds; empty for what p99 needs, two minutes at most`, t`chosen`)
        : number('seconds', t`Duration`, seconds, setSeconds, loop === 'ramp' ? t`seconds for each step` : t`seconds`, '10')}
      <div class="mld-Field">
        <label class="mld-Label" for={`${id}-payload`}>{t`Payload`}</label>
        <div class="mld-Inline"><Pick control id={`${id}-payload`} value={payload} options={BODIES.filter(([id]) => id !== 'sample' || hasSample).map(([id, text]) => [id, translated(text)])} onPick={setPayload} /></div>
      </div>
      {payload === 'json' && (
        <div class="mld-Field">
          <label class="mld-Label" for={`${id}-json`}>{t`Body`}</label>
          <textarea class="mld-Input mld-Area mld-mod-mono" id={`${id}-json`} rows={3} spellcheck={false} value={json} placeholder={'{"data": [[1, 2, 3]]}'} aria-invalid={tried && 'json' in problems} aria-describedby={`${id}-json-said`} onInput={withValue(setJson)} />
          {tried && problems['json'] && <Message id={`${id}-json-said`} text={problems['json']} />}
        </div>
      )}
      <div class="mld-Row">
        <Button kind="primary" busy={busy} onClick={run}>{busy ? t`Starting…` : t`Run`}</Button>
        {onKeep && <Button onClick={onKeep}>{t`Keep this run`}</Button>}
      </div>
    </div>
  );
}

function runText(row: LatencyRow): string {
  return listed(moment(row.time), row.p50 !== null && t`median ${latencyText(row.p50)}`, !row.valid && t`invalid`, row.p50 === null && plural(row.requests, 'request'));
}

/** Python that draws the run with plotly, for a new cell. */
function plotlyCell({ run, ramp }: LatencyReport): string {
  return `from mldeploy_jupyter import LatencyResult, Workspace\n\nLatencyResult.load(Workspace.get(path="."), "${run}").figure("${ramp ? 'ramp' : 'spectrum'}")`;
}
