import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import type { FormCheck, Port } from '../../protocol';
import { type FakePort, fakePort } from '../../testing/fake_port';
import * as samples from '../../testing/samples';
import { FormPanel } from './form';

afterEach(cleanup);

const PROBLEM = samples.check.problems[0]!.text;
const NAME = 'Service name';

/** A check whose preview has the name that was typed, as the kernel's has. */
const checked = ({ values }: { values: Record<string, unknown> }): FormCheck => ({
  problems: [],
  previews: [{ kind: 'python', title: 'Python', text: `deploy(${values['name']})` }, { kind: 'magic', title: 'Magic', text: `%deploy ${values['name']}` }],
  note: '',
});

async function show(port: FakePort, onBegun = () => {}) {
  const shown = render(<FormPanel port={port} form="deploy" onBegun={onBegun} />);
  await screen.findByText('Same as');
  return shown;
}

const checks = (port: FakePort) => port.asked.filter(one => one.name === 'form.check');

describe('an error of a field', () => {
  it('is shown once the field was changed and left', async () => {
    await show(fakePort());
    expect(screen.queryByText(PROBLEM)).toBeNull(); // it is wrong from the start
    const field = screen.getByLabelText('CPU');
    field.focus();
    fireEvent.focusOut(field); // passed with Tab
    expect(screen.queryByText(PROBLEM)).toBeNull();
    fireEvent.input(field, { target: { value: '0.04' } });
    expect(screen.queryByText(PROBLEM)).toBeNull(); // while it is typed
    fireEvent.focusOut(field);
    await screen.findByText(PROBLEM); // once it is checked
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(document.getElementById(field.getAttribute('aria-describedby')!)!.textContent).toBe(PROBLEM);
  });

  it('is not that of the value before', async () => {
    await show(fakePort({ 'form.check': ({ values }) => (values['cpu_cores'] === '2' ? checked({ values }) : samples.check) }));
    const field = screen.getByLabelText('CPU');
    fireEvent.input(field, { target: { value: '2' } });
    fireEvent.focusOut(field); // before it was checked
    expect(screen.queryByText(PROBLEM)).toBeNull();
  });

  it('does not appear while something is pressed, which it would move', async () => {
    await show(fakePort());
    expect(fireEvent.mouseDown(screen.getByText('Local'))).toBe(false); // the field keeps the focus
    expect(fireEvent.mouseDown(screen.getByText('Deploy', { selector: 'button' }))).toBe(false);
    expect(fireEvent.mouseDown(screen.getByLabelText('CPU'))).toBe(true);
  });

  it('keeps the form from being sent, and gets the focus', async () => {
    const port = fakePort();
    await show(port);
    fireEvent.submit(screen.getByRole('form', { name: 'Deploy a model' }));
    await screen.findByText(PROBLEM);
    await waitFor(() => expect(document.activeElement).toBe(screen.getByLabelText('CPU')));
    expect(port.asked.map(one => one.name)).not.toContain('form.submit');
  });

  it('is shown at once where it is a warning', async () => {
    await show(fakePort({ 'form.check': { ...samples.check, problems: [{ field: 'cpu_cores', level: 'warning', text: 'That is little.' }] } }));
    expect(screen.getByText('That is little.')).toBeTruthy();
    expect(screen.getByLabelText('CPU').getAttribute('aria-invalid')).toBeNull();
  });
});

describe('a field of one target', () => {
  it('is there, and sent, only with that target, and keeps what was typed', async () => {
    const port = fakePort({ 'form.check': checked });
    await show(port);
    expect(screen.queryByLabelText('Port')).toBeNull();
    fireEvent.input(screen.getByLabelText('CPU'), { target: { value: '2' } });
    fireEvent.click(screen.getByLabelText('Local'));
    expect(screen.queryByLabelText('CPU')).toBeNull();
    expect(screen.getByLabelText('Port')).toBeTruthy();
    await waitFor(() => expect(checks(port).at(-1)!.params['values']).toMatchObject({ target: 'local' }));
    expect(checks(port).at(-1)!.params['values']).not.toHaveProperty('cpu_cores');
    fireEvent.click(screen.getByLabelText('ACI'));
    expect((screen.getByLabelText('CPU') as HTMLInputElement).value).toBe('2');
  });
});

describe('a number', () => {
  it('may be typed digit by digit, and is sent as a text where it is more than JSON has', async () => {
    const port = fakePort({ 'form.check': ({ values }) => (typeof values['cpu_cores'] === 'number' ? checked({ values }) : samples.check) });
    await show(port);
    const field = screen.getByLabelText('CPU') as HTMLInputElement;
    for (const [typed, sent] of [['1', 1], ['1.', '1.'], ['1.0', 1], ['1.05', 1.05], ['1e400', '1e400']] as const) {
      fireEvent.input(field, { target: { value: typed } });
      expect(field.value).toBe(typed);
      await waitFor(() => expect(checks(port).at(-1)!.params['values']).toMatchObject({ cpu_cores: sent }));
    }
    fireEvent.focusOut(field);
    await waitFor(() => expect(field.getAttribute('aria-invalid')).toBe('true'));
  });
});

describe('the preview', () => {
  const inserted: string[] = [];
  const withCells = (answers = {}): FakePort => {
    inserted.length = 0;
    const extras: Partial<Port> = { insertCell: text => void inserted.push(text) };
    return fakePort({ 'form.check': checked, ...answers }, extras);
  };

  it('is inserted as the form stands, though it was typed a moment ago', async () => {
    await show(withCells());
    fireEvent.input(screen.getByLabelText(NAME), { target: { value: 'typed-now' } });
    fireEvent.click(screen.getByText('Insert as cell'));
    await waitFor(() => expect(inserted).toEqual(['deploy(typed-now)']));
    fireEvent.click(screen.getByLabelText('Magic'));
    fireEvent.click(screen.getByText('Insert as cell'));
    await waitFor(() => expect(inserted).toEqual(['deploy(typed-now)', '%deploy typed-now']));
  });

  it('is not inserted where the kernel does not say what it is, or something is missing', async () => {
    let answer: () => FormCheck | Promise<FormCheck> = () => checked({ values: { name: 'first' } });
    await show(withCells({ 'form.check': () => answer() }));
    answer = () => Promise.reject({ code: 'lost', error: 'The kernel is gone', cause: '', hint: '' });
    fireEvent.input(screen.getByLabelText(NAME), { target: { value: 'second' } });
    fireEvent.click(screen.getByText('Insert as cell'));
    await screen.findByText('The kernel is gone');
    answer = () => ({ problems: [], previews: [], note: '' });
    fireEvent.click(screen.getByText('Insert as cell'));
    await screen.findByText('There is no code of this yet');
    expect(inserted).toEqual([]);
  });
});
