// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import { fakePort } from '../../testing/fake_port';
import * as samples from '../../testing/samples';
import { Panel } from '../panel';
import { bounds, latencyText, linearTicks, logScale, tickText, ticks } from './scale';

afterEach(cleanup);

const press = (name: string | RegExp) => fireEvent.click(screen.getByRole('button', { name }));

async function openTab(port: ReturnType<typeof fakePort>, report = samples.latencyReport()) {
  port.emit('service', { service: samples.service() });
  port.emit('deployment', { timeline: samples.live });
  port.emit('latency', { report });
  render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
  fireEvent.click(await screen.findByRole('tab', { name: 'Latency' }));
  return screen.findByRole('tabpanel', { name: 'Latency' });
}

describe('the Latency tab', () => {
  it('shows the last run: chart, verdict, table, parts', async () => {
    const port = fakePort();
    const tab = within(await openTab(port));
    const chart = await tab.findByRole('img', { name: /^Latency by percentile\. diabetes-regression: p50 10\.9 ms/ });
    expect(chart.getAttribute('aria-label')).toContain('p99 25.9 ms');
    expect(tab.getByText(/p50 is 4 to 9 % slower/)).toBeTruthy();
    expect(tab.getByText('p99.9 needs 10,000 requests, 100 s at 100/s; there are 2,000.')).toBeTruthy();
    const cells = within(tab.getByRole('table')).getAllByRole('cell').map(cell => cell.textContent);
    expect(cells).toEqual(['2,000', '0', '10.9 ms', '15.6 ms', '18.2 ms', '25.9 ms', '50.0 ms', '412 ms']);
    expect(tab.getByRole('img', { name: /^Latency over time of diabetes-regression/ })).toBeTruthy();
    expect(tab.getByText('Serialise')).toBeTruthy();
  });

  it('begins a run with what was filled in, and shows it while it is in progress', async () => {
    const port = fakePort({ 'latency.runs': [], 'latency.start': { run: samples.latencyLive.run } });
    await openTab(port, samples.latencyLive);
    fireEvent.input(await screen.findByLabelText('Rate'), { target: { value: '250' } });
    fireEvent.input(screen.getByLabelText('Duration'), { target: { value: '30' } });
    fireEvent.change(screen.getByLabelText('Payload'), { target: { value: 'json' } });
    press('Run');
    expect(await screen.findByText('This is not JSON.')).toBeTruthy();
    expect(port.requests()).not.toContain('latency.start');
    fireEvent.input(screen.getByLabelText('Body'), { target: { value: '{"data": [1]}' } });
    press('Run');
    await screen.findByRole('button', { name: 'Stop' });
    expect(port.asked.find(one => one.name === 'latency.start')!.params).toEqual({ service: 'diabetes-regression', workspace: 'w', rate: 250, duration: 30, body: { json: '{"data": [1]}' } });
    expect(screen.getByRole('progressbar', { name: 'Measured' }).getAttribute('aria-valuenow')).toBe('40');
    const rows = within(screen.getByRole('table')).getAllByRole('row').slice(1).map(row => row.querySelector('th')!.textContent);
    expect(rows).toEqual(['diabetes-regression, revision 3', 'diabetes-regression, revision 4']); // apart, during an update
    press('Stop');
    await waitFor(() => expect(port.requests()).toContain('latency.stop'));
    port.emit('latency', { report: { ...samples.latencyLive, state: 'cancelled' } });
    expect(await screen.findByText(/It was stopped before its end/)).toBeTruthy();
  });

  it('asks for a body where the service has no sample', async () => {
    const port = fakePort({ 'latency.runs': [], 'latency.start': { run: 'r' }, 'service.samples': [] });
    await openTab(port);
    fireEvent.input(await screen.findByLabelText('Body'), { target: { value: '[1]' } });
    expect(within(screen.getByLabelText('Payload')).getAllByRole('option').map(option => option.textContent)).toEqual(['JSON of your own']);
    press('Run');
    await waitFor(() => expect(port.asked.find(one => one.name === 'latency.start')!.params).toEqual({ service: 'diabetes-regression', workspace: 'w', body: { json: '[1]' } }));
  });

  it('lets the run choose a rate, and takes whole users only', async () => {
    const port = fakePort({ 'latency.runs': [], 'latency.start': { run: 'r' } });
    await openTab(port);
    fireEvent.click(await screen.findByLabelText('By users'));
    fireEvent.input(screen.getByLabelText('Users'), { target: { value: '0.5' } });
    press('Run');
    expect(await screen.findByText('0.5 does not fit. Give a whole number from 1 to 10,000.')).toBeTruthy();
    expect(document.activeElement).toBe(screen.getByLabelText('Users'));
    fireEvent.click(screen.getByLabelText('At a rate'));
    press('Run');
    await waitFor(() => expect(port.asked.find(one => one.name === 'latency.start')!.params).toEqual({ service: 'diabetes-regression', workspace: 'w' }));
  });

  it('tries one rate after the other, and shows where the knee is', async () => {
    const inserted: string[] = [];
    const port = fakePort({ 'latency.runs': [], 'latency.start': { run: samples.latencyRamp.run } }, { insertCell: text => inserted.push(text) });
    await openTab(port, samples.latencyRamp);
    fireEvent.click(await screen.findByLabelText('In steps'));
    fireEvent.input(screen.getByLabelText('To'), { target: { value: '400' } });
    fireEvent.input(screen.getByLabelText('Steps'), { target: { value: '1' } });
    press('Run');
    expect(await screen.findByText('1 does not fit. Give a whole number from 2 to 50.')).toBeTruthy();
    fireEvent.input(screen.getByLabelText('Steps'), { target: { value: '4' } });
    fireEvent.input(screen.getByLabelText('Duration'), { target: { value: '5' } });
    press('Run');
    await waitFor(() => expect(port.asked.find(one => one.name === 'latency.start')!.params).toEqual({ service: 'diabetes-regression', workspace: 'w', ramp: '50:400:4', duration: 5 }));
    const chart = await screen.findByRole('img', { name: /^Latency over the rate\. diabetes-regression, median: 9\.40 ms at 50 a second/ });
    expect(chart.getAttribute('aria-label')).toContain('knee of diabetes-regression: 198 a second');
    expect(within(chart).getByText('knee of diabetes-regression: 198 a second')).toBeTruthy();
    const rows = within(screen.getByRole('table')).getAllByRole('row').slice(1).map(row => row.querySelector('th')!.textContent);
    expect(rows).toEqual([50, 100, 200, 400].map(rate => `diabetes-regression at ${rate}/s`));
    press('Open as plotly');
    expect(inserted[0]).toContain('.figure("ramp")');
  });

  it('opens the run in progress, whoever began it', async () => {
    const running = samples.latencyRow(samples.latencyLive.run, 8, { state: 'running', p50: null });
    const port = fakePort({ 'latency.runs': [samples.latencyRow('20261126T150000-aaaaaa', 1), running] });
    await openTab(port, samples.latencyLive);
    expect(await screen.findByText('Measuring')).toBeTruthy();
    expect(port.topics()).toContain('latency');
  });

  it('says what makes a run worth nothing, and what went wrong', async () => {
    const failure = { code: 'in-progress', error: 'churn is being measured already', cause: 'two runs at a time would measure each other', hint: 'stop that one' };
    const port = fakePort({ 'latency.start': failure });
    await openTab(port, samples.latencyReport({ invalid: 'the load was late by 3.1 ms' }));
    expect(await screen.findByText('These numbers say nothing about the service: the load was late by 3.1 ms.')).toBeTruthy();
    press('Measure again…');
    press('Run');
    expect((await screen.findByRole('alert')).textContent).toContain('churn is being measured already');
  });

  it('offers the run as a cell that draws it with plotly', async () => {
    const inserted: string[] = [];
    const port = fakePort({}, { insertCell: text => inserted.push(text) });
    await openTab(port);
    await screen.findByRole('table');
    press('Open as plotly');
    expect(inserted[0]).toContain(`.load(Workspace.get(path="."), "${samples.latencyReport().run}").figure("spectrum")`);
  });

  it('says why it is not there when its module does not come', async () => {
    const port = fakePort({}, { loadPart: () => Promise.reject({ code: 'lost', error: 'the notebook is not connected', cause: '', hint: '' }) });
    await openTab(port);
    expect((await screen.findByRole('alert')).textContent).toContain('the notebook is not connected');
  });
});

describe('scales', () => {
  it('has round ticks between its bounds', () => {
    const [low, high] = bounds([1.2, 48]);
    const scale = logScale(low, high, 0, 100);
    expect(ticks(scale).map(tickText)).toEqual(['2 ms', '5 ms', '10 ms', '20 ms', '50 ms']);
    expect(scale.at(low)).toBeCloseTo(0);
    expect(scale.at(high)).toBeCloseTo(100);
    expect(bounds([])).toEqual([1, 10]);
  });

  it('has round rates from zero', () => {
    expect([0.9, 7, 54, 432, 1080].map(high => linearTicks(high).join(' '))).toEqual(['0 0.2 0.4 0.6 0.8', '0 2 4 6', '0 10 20 30 40 50', '0 100 200 300 400', '0 200 400 600 800 1000']);
  });

  it('writes latencies with three figures', () => {
    expect([0.842, 9.996, 12.34, 128.4, 1204, null].map(latencyText)).toEqual(['0.84 ms', '10.0 ms', '12.3 ms', '128 ms', '1.20 s', '–']);
  });
});
