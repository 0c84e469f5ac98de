import type { LatencyReport, LatencySeries } from '../../protocol';
import { Heatmap } from './heatmap';
import { Ramp } from './ramp';
import { latencyText } from './scale';
import { Awaited, Message, Scroll, count, duration, listed, moment, msg, plural, t, tellCutText, translated, useState, useTopic } from '../shared';
import { Spectrum, Swatch } from './spectrum';

/** How a run ended, where that is not as it was planned. */
const ENDS: Partial<Record<LatencyReport['state'], string>> = {
  cancelled: msg`It was stopped before its end; this is what had been measured.`,
  limit: msg`It reached its limit of requests or time; this is what had been measured.`,
  slept: msg`The machine slept in the middle; the run is cut there.`,
  stalled: msg`The process of the load was stopped for a while, though the machine did not sleep; the run is cut there.`,
  died: msg`Every service stopped answering; this is what had been measured.`,
  crashed: msg`The process of the load ended early; this is what it had written.`,
  interrupted: msg`The program that measured it has ended; this is what had been written.`,
};

const COLUMNS: [string, string][] = [['p50', msg`Median`], ['p90', 'p90'], ['p95', 'p95'], ['p99', 'p99'], ['p99.9', 'p99.9']];

/** Of the style sheet, for the parts of a request in their order: what is not the service's is grey. */
const COLOURS = [5, 1, 6, 2, 3, 4];

/** A run on its own, while it is in progress: below the cell that began it. */
export function RunView({ run, workspace }: { run: string; workspace: string }) {
  const [report, setReport] = useState<LatencyReport | null>(null);
  useTopic('latency', { run, workspace }, event => setReport(event.report));
  if (!report) return <Awaited failure={null}>{t`Reading the run…`}</Awaited>;
  return (
    <section class="mld mld-Panel" onPointerOver={tellCutText} aria-label={t`Latency of ${report.services.join(', ')}`}>
      <div class="mld-Pane mld-Stack"><h3 class="mld-H mld-Cut">{t`Latency of ${report.services.join(', ')}`}</h3><ReportView report={report} /></div>
    </section>
  );
}

/** Chart, reading, where the time went, and the table with all numbers. */
export function ReportView({ report }: { report: LatencyReport }) {
  const { series, state } = report;
  const ending = ENDS[state];
  const typical = series.filter(one => one.parts.length);
  return (
    <>
      {report.invalid && <Message level="error" text={t`These numbers say nothing about the service: ${report.invalid}.`} />}
      {ending && <Message level="warning" text={translated(ending)} />}
      <div class="mld-Measure">
        {report.ramp ? <Ramp ramp={report.ramp} /> : <Spectrum series={series} />}
        <dl class="mld-Pairs">
          {report.verdict.length > 0 && <><dt>{t`Reading`}</dt><dd>{report.verdict.map(text => <p key={text}>{sentence(text)}</p>)}</dd></>}
          <dt>{t`Load`}</dt><dd>{report.load.replace(/(\d) s\b/g, '$1\xa0s')}</dd>
          <dt>{t`Payload`}</dt><dd>{report.payload}</dd>
          <dt>{t`Warm-up`}</dt><dd>{report.warmup ? t`${plural(report.warmup, 'request')}, not counted` : t`None`}</dd>
          <dt>{t`Sent from`}</dt><dd>{t`This machine, own process`}</dd>
          <dt>{t`Measured`}</dt><dd>{state === 'running' ? t`${duration(report.elapsedSeconds)} of about ${duration(report.seconds)}` : t`${moment(report.begun)}, in ${duration(report.elapsedSeconds)}`}</dd>
          {report.against && <><dt>{t`Compared with`}</dt><dd>{moment(report.against)}</dd></>}
        </dl>
      </div>
      {report.ramp ? <Table series={report.ramp.steps} title={t`Step`} /> : <Table series={series} title={t`Service`} keyed />}
      <div class="mld-Grid2">
        {typical.map(one => <Parts key={one.name} one={one} several={series.length > 1} />)}
        {report.cells.map(cells => <div key={cells.name}><h4 class="mld-H mld-Cut">{t`Latency over time`}{report.cells.length > 1 && `, ${cells.name}`}</h4><Heatmap cells={cells} /></div>)}
      </div>
      {report.notes.map(text => <Message key={text} level="info" text={sentence(text)} />)}
    </>
  );
}

function Table({ series, title, keyed = false }: { series: LatencySeries[]; title: string; keyed?: boolean }) {
  const columns = COLUMNS.filter(([name]) => series.some(one => one.percentiles.some(each => each.name === name)));
  const cold = series.some(one => one.coldStart !== null);
  if (!series.length) return null;
  return (
    <Scroll label={t`Latency table`}>
      <table class="mld-Table mld-mod-flush">
        <thead>
          <tr>
            <th scope="col">{title}</th><th scope="col" class="mld-Num mld-mod-optional">{t`Requests`}</th><th scope="col" class="mld-Num">{t`Errors`}</th>
            {columns.map(([name, title]) => <th scope="col" class="mld-Num" key={name}>{translated(title)}</th>)}
            <th scope="col" class="mld-Num mld-mod-optional">{t`Slowest`}</th>{cold && <th scope="col" class="mld-Num mld-mod-optional">{t`Cold start`}</th>}
          </tr>
        </thead>
        <tbody>
          {series.map((one, at) => (
            <tr key={one.name}>
              <th scope="row"><span class="mld-Key">{keyed && <Swatch at={at} />}{one.name}</span></th>
              <td class="mld-Num mld-mod-optional">{count(one.requests)}</td>
              <td class="mld-Num">{listed(count(one.errors), one.unsent > 0 && t`${count(one.unsent)} not sent`)}</td>
              {columns.map(([name]) => {
                const found = one.percentiles.find(each => each.name === name);
                const span = found && found.low !== null && found.high !== null ? t`95 % interval: ${latencyText(found.low)} to ${latencyText(found.high)}` : undefined;
                return <td class="mld-Num" key={name} title={found ? span : t`Too few requests`}>{latencyText(found?.ms ?? null)}</td>;
              })}
              <td class="mld-Num mld-mod-optional">{latencyText(one.slowest)}</td>
              {cold && <td class="mld-Num mld-mod-optional">{latencyText(one.coldStart)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Where the time of a typical request went. */
function Parts({ one, several }: { one: LatencySeries; several: boolean }) {
  const total = one.parts.reduce((sum, part) => sum + part.ms, 0);
  const colour = (at: number) => `mld-c${COLOURS[at % COLOURS.length]}`;
  return (
    <div>
      <h4 class="mld-H mld-Cut">{t`Where the time goes`}{several && `, ${one.name}`}</h4>
      <div class="mld-SplitBar" aria-hidden="true">{one.parts.map((part, at) => <i key={part.name} class={colour(at)} style={{ '--w': String(total ? Math.max(part.ms / total, 0.002) : 1) }} />)}</div>
      <div class="mld-Legend">{one.parts.map((part, at) => <><i class={colour(at)} /><span>{translated(part.title)}</span><b><bdi>{latencyText(part.ms)}</bdi></b></>)}</div>
    </div>
  );
}

/** A line of the report as a sentence; names keep their small letters. */
function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
