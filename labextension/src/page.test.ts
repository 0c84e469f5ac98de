import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KEPT_MS, Page, parseMarker, rememberView, type Subject } from './page';

const marker = { kernel: 'k1', service: 'churn', workspace: 'w', deployment: 'd1' };

let page: Page | null = null;
let drawn: Subject[] = [];
let ended: Subject[] = [];

function open(kernel = 'k1') {
  page = new Page(kernel, (root, subject) => {
    drawn.push(subject);
    root.innerHTML = '<input>';
    return () => ended.push(subject);
  });
}

function addOutput(about: object = marker) {
  const output = document.createElement('div');
  output.className = 'jp-OutputArea-output';
  const saved = document.createElement('div');
  saved.setAttribute('data-mldeploy', JSON.stringify(about));
  output.append(saved);
  const child = document.createElement('div');
  child.append(output);
  document.body.append(child);
  return output;
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  [drawn, ended] = [[], []];
});

afterEach(() => {
  page?.close();
  document.body.innerHTML = '';
});

test('a panel is drawn beside an output that is there, and beside one that comes later', async () => {
  const first = addOutput();
  open();
  expect(first.nextElementSibling?.className).toContain('mld-Host');
  addOutput({ ...marker, service: 'other' });
  await settle();
  expect(drawn.map(({ service }) => service)).toEqual(['churn', 'other']);
});

test('a deployment that begins is handed over with its timeline; an update of the output draws nothing again', async () => {
  const timeline = { deployment: 'd1', state: 'deploying' };
  const output = addOutput({ ...marker, timeline });
  open();
  output.firstElementChild!.setAttribute('data-mldeploy', JSON.stringify(marker));
  output.append('updated');
  await settle();
  expect(drawn).toEqual([{ ...marker, timeline }]);
});

test('outputs of other kernels, and what is no marker, are left alone', async () => {
  addOutput({ ...marker, kernel: 'k2' });
  addOutput({ kernel: 'k1' });
  open();
  await settle();
  expect(drawn).toEqual([]);
  expect(parseMarker('{')).toBeNull();
  expect(parseMarker('[]')).toBeNull();
  expect(parseMarker(null)).toBeNull();
});

test('an output whose HTML is replaced keeps its panel', async () => {
  const output = addOutput();
  open();
  const host = output.nextElementSibling;
  output.innerHTML = `<div data-mldeploy='${JSON.stringify(marker)}'>final</div>`;
  await settle();
  expect(output.nextElementSibling).toBe(host);
  expect(drawn).toHaveLength(1);
});

test('an output that is drawn anew elsewhere gets the same panel, with what was typed', async () => {
  const output = addOutput();
  open();
  const input = document.querySelector('input')!;
  input.value = 'typed';
  output.nextElementSibling?.remove();
  output.remove();
  await settle();
  const next = addOutput();
  await settle();
  expect(next.nextElementSibling?.querySelector('input')).toBe(input);
  expect(drawn).toHaveLength(1);
  expect(ended).toHaveLength(0);
});

test('a panel whose output has gone for good ends', async () => {
  vi.useFakeTimers();
  const output = addOutput();
  open();
  const host = output.nextElementSibling!;
  output.remove();
  await vi.advanceTimersByTimeAsync(10);
  expect(host.isConnected).toBe(false);
  await vi.advanceTimersByTimeAsync(KEPT_MS + 10);
  expect(ended).toHaveLength(1);
  vi.useRealTimers();
});

test('a panel whose cell is scrolled out of the page is there when it comes back', async () => {
  vi.useFakeTimers();
  const child = addOutput().parentElement!;
  open();
  const input = document.querySelector('input')!;
  child.remove();
  await vi.advanceTimersByTimeAsync(10);
  await vi.advanceTimersByTimeAsync(60_000);
  document.body.append(child);
  await vi.advanceTimersByTimeAsync(10);
  expect(document.querySelector('input')).toBe(input);
  expect([drawn.length, ended.length]).toEqual([1, 0]);
  child.remove();
  await vi.advanceTimersByTimeAsync(10);
  await vi.advanceTimersByTimeAsync(601_000);
  expect(ended).toHaveLength(1);
  vi.useRealTimers();
});

test('an output of another deployment in the same place gets a panel of its own', async () => {
  const output = addOutput();
  open();
  output.innerHTML = `<div data-mldeploy='${JSON.stringify({ ...marker, deployment: 'd2' })}'></div>`;
  await settle();
  expect(drawn.map(({ deployment }) => deployment)).toEqual(['d1', 'd2']);
  expect(document.querySelectorAll('.mld-Host')).toHaveLength(1);
});

test('focus is given back to an element that was moved', () => {
  const root = document.createElement('div');
  root.innerHTML = '<input>';
  document.body.append(root);
  const input = root.querySelector('input')!;
  input.focus();
  const restore = rememberView(root);
  const place = document.createElement('section');
  document.body.append(place);
  root.remove();
  place.append(root);
  restore();
  expect(document.activeElement).toBe(input);
});

test('a key that is pressed in a panel is not a shortcut of the notebook, except for those with Ctrl', () => {
  addOutput();
  open();
  const field = document.querySelector('.mld-Host input')!;
  const isKept = (key: string, more: object = {}) => {
    field.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, ...more }));
    return field.hasAttribute('data-lm-suppress-shortcuts');
  };
  expect(isKept('d')).toBe(true);
  expect(isKept('s', { ctrlKey: true })).toBe(false);
  expect(isKept('Enter', { ctrlKey: true })).toBe(true); // sends, and runs no cell
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'd', bubbles: true }));
  expect(document.body.hasAttribute('data-lm-suppress-shortcuts')).toBe(false);
});
