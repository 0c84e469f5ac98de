import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Failure } from '../protocol';
import { capital } from './format';
import { type IconName, icon } from './icons';
import { useId } from './port_context';
import { t } from './translation';

/** Gives the focus to the first control in a part of `root`, once it is drawn. */
export function focusControl(root: { current: HTMLElement | null }, part: string): void {
  requestAnimationFrame(() => root.current?.querySelector<HTMLElement>(`${part} :is(input, select, textarea)`)?.focus());
}

/** The event is ours alone. */
export function consume(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

/** Passes on what a control holds now. */
export const withValue = (act: (value: string) => void) => (event: { currentTarget: { value: string } }) => act(event.currentTarget.value);

/** A name that is cut in the middle when there is no room: its last characters tell names apart. */
export function Mid({ text, code, tail = 7 }: { text: string; code?: boolean; tail?: number }) {
  const characters = [...text];
  const at = characters.length < 2 * tail ? 0 : characters.length - tail; // a short one stays whole
  const Tag = code ? 'code' : 'span';
  return (
    <Tag class="mld-Mid" title={text}>
      {at > 0 && <span>{characters.slice(0, at).join('')}</span>}
      <span>{characters.slice(at).join('')}</span>
    </Tag>
  );
}

type ButtonProps = {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: 'primary' | 'danger' | 'dangerFill';
  busy?: boolean;
  optional?: boolean;
  expanded?: boolean;
  disabled?: boolean;
  title?: string;
  class?: string;
  buttonRef?: (element: HTMLButtonElement | null) => void;
};

export function Button(props: ButtonProps) {
  const classes = ['mld-Btn', props.kind && `mld-mod-${props.kind}`, props.optional && 'mld-mod-optional', props.class];
  return (
    <button
      type="button"
      class={classes.filter(Boolean).join(' ')}
      onClick={props.busy ? undefined : props.onClick}
      aria-busy={props.busy}
      aria-expanded={props.expanded}
      disabled={props.disabled}
      title={props.title}
      ref={props.buttonRef}
    >
      {props.busy && icon('busy', { spin: true })}
      {props.children}
    </button>
  );
}

type IconButtonProps = { icon: IconName; label: string; onClick?: () => void; pressed?: boolean; disabled?: boolean; title?: string };

export function IconButton({ icon: name, label, onClick, pressed, disabled, title }: IconButtonProps) {
  return (
    <button type="button" class="mld-IconBtn" title={title ?? label} aria-label={label} aria-pressed={pressed} disabled={disabled} onClick={onClick}>
      {icon(name)}
    </button>
  );
}

/** Copies without showing. The icon says that it was done, for two seconds, and a screen reader is told. */
export function CopyButton({ label, copy, children, link }: { label: string; copy: () => string | Promise<string>; children?: ComponentChildren; link?: boolean }) {
  const [said, setSaid] = useState('');
  useEffect(() => {
    const timer = said ? setTimeout(() => setSaid(''), 2000) : undefined;
    return () => clearTimeout(timer);
  }, [said]);
  const act = async () => {
    try {
      await writeClipboard(await copy());
      setSaid(t`Copied`);
    } catch {
      setSaid(t`Could not copy`);
    }
  };
  const icon = said === t`Copied` ? 'done' : said ? 'failed' : 'copy';
  return (
    <>
      {link ? (
        <button type="button" class="mld-Link" onClick={act}>{said || children}</button>
      ) : children === undefined ? (
        <IconButton icon={icon} label={label} title={said || label} onClick={act} />
      ) : (
        <Button onClick={act}>{said || children}</Button>
      )}
      <span class="mld-VisuallyHidden" role="status">{said}</span>
    </>
  );
}

/** Pages without HTTPS, such as a JupyterHub on a plain address, have no clipboard interface. */
export async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard?.writeText) {
    try {
      await navigator.clipboard.writeText(text);
      return;
    } catch {
      // not allowed: try the old way
    }
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.style.cssText = 'position:fixed;opacity:0';
  const focused = document.activeElement as HTMLElement | null;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus?.();
  if (!done) throw new Error('not allowed');
}

export type MenuItem = { label: string; act: () => void; danger?: boolean };

/** A button with a menu: arrows move, Enter chooses, Escape and a click elsewhere close. */
export function Menu({ items, label = t`More actions` }: { items: MenuItem[]; label?: string }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const entries = () => [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
  const close = (focus = true) => {
    setOpen(false);
    if (focus) button.current?.focus();
  };
  useLayoutEffect(() => {
    if (!open) return undefined;
    entries()[0]?.focus(); // before the next key: an effect after the paint would take the focus back
    const outside = (event: Event) => {
      if (!event.composedPath().includes(root.current as EventTarget)) close(false);
    };
    document.addEventListener('pointerdown', outside, true);
    return () => document.removeEventListener('pointerdown', outside, true);
  }, [open]);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (event.key in to) {
      all[(to[event.key]! + all.length) % all.length]?.focus();
    } else if (event.key === 'Escape') {
      close();
    } else if (event.key === 'Tab') {
      close(false);
      return;
    } else {
      return;
    }
    consume(event);
  };
  if (!items.length) return null;
  return (
    <span class="mld-Menu" ref={root} onKeyDown={open ? onKeyDown : undefined}>
      <button
        type="button"
        ref={button}
        class="mld-IconBtn"
        title={label}
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
        onKeyDown={event => {
          if (event.key === 'ArrowDown' && !open) {
            event.preventDefault();
            setOpen(true);
          }
        }}
      >
        {icon('more')}
      </button>
      {open && (
        <div class="mld-Menu-list" role="menu" id={id} aria-label={label}>
          {items.map(item => (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              key={item.label}
              class={item.danger ? 'mld-Menu-item mld-mod-danger' : 'mld-Menu-item'}
              onClick={() => {
                close();
                item.act();
              }}
            >
              {item.label}
            </button>
          ))}
        </div>
      )}
    </span>
  );
}

export function Pick({ label, value, options, onPick, optional, control, ...attributes }: { label?: string; value: string; options: [string, string][]; onPick: (value: string) => void; optional?: boolean; control?: boolean; id?: string }) {
  return (
    <span class={optional ? 'mld-Pick mld-mod-optional' : 'mld-Pick'}>
      <select class={control ? 'mld-Select' : 'mld-Select mld-mod-compact'} aria-label={label} value={value} onChange={withValue(onPick)} {...attributes}>
        {options.map(([key, text]) => <option value={key} key={key}>{text}</option>)}
      </select>
      {icon('down')}
    </span>
  );
}

/** A choice of two to five, drawn as one bar; a real radio group. */
export function Segments<V extends string>({ label, value, options, onPick }: { label: string; value: V; options: readonly (readonly [V, string])[]; onPick: (value: V) => void }) {
  const name = useId();
  return (
    <div class="mld-Seg" role="radiogroup" aria-label={label}>
      {options.map(([key, text]) => (
        <label key={key}>
          <input type="radio" name={name} value={key} checked={key === value} onChange={() => onPick(key)} />
          {text}
        </label>
      ))}
    </div>
  );
}

/** The three lines of an error, below what was clicked; nothing without one. */
export function FailureMessage({ failure, onDismiss }: { failure: Failure | null; onDismiss?: () => void }) {
  if (!failure) return null;
  return (
    <div class="mld-Confirm" data-level="error" role="alert">
      <div class="mld-Grow">
        <p class="mld-Cause-what">{failure.error}</p>
        {failure.cause && <p>{capital(failure.cause)}</p>}
        {failure.hint && <p><Marked text={capital(failure.hint)} /></p>}
      </div>
      {onDismiss && <IconButton icon="close" label={t`Dismiss`} onClick={onDismiss} />}
    </div>
  );
}

/** Text that is cut and has no title gets one when it is pointed at. It may have changed since the last time. */
export function tellCutText({ target }: Event) {
  const cut = (target as Element).closest<HTMLElement>('.mld-Cut, .mld-Head-meta');
  if (!cut || (cut.title && !cut.dataset['told'])) return;
  cut.title = cut.dataset['told'] = cut.innerText;
}

/** A line about what stands above it. */
export function Message({ text, id, level = 'error' }: { text: string; id?: string; level?: 'error' | 'warning' | 'info' }) {
  return <p class="mld-Message" data-level={level} id={id}>{icon(level === 'error' ? 'failed' : level)}<span>{text}</span></p>;
}

/** What stands where an answer is awaited, or why there is none. */
export function Awaited({ failure, children }: { failure: Failure | null; children: ComponentChildren }) {
  return failure ? <FailureMessage failure={failure} /> : <p class="mld-Pane mld-Muted">{children}</p>;
}

/** A table that scrolls sideways in a region of its own. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="mld-Scroll" tabIndex={0} role="group" aria-label={t`${label}, scrolls sideways`}>{children}</div>;
}

/** A line that opens and closes what stands below it. */
export function Fold({ open, onFold, children, class: more = '' }: { open: boolean; onFold: () => void; children: ComponentChildren; class?: string }) {
  return <button type="button" class={`mld-Summary ${more}`} aria-expanded={open} onClick={onFold}>{icon('chevron')}{children}</button>;
}

/** A question in place. Focus starts on the safe answer, and Escape gives it. */
export function Confirm(props: { label: string; question: ComponentChildren; yes: string; no: string; onYes: () => void; onNo: () => void; busy?: boolean; danger?: boolean; children?: ComponentChildren; ready?: boolean }) {
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const first = root.current?.querySelector<HTMLElement>('input') ?? root.current?.querySelector<HTMLElement>('[data-safe] button');
    first?.focus();
  }, []);
  return (
    <div
      class="mld-Confirm"
      data-level={props.danger ? 'error' : undefined}
      role="group"
      aria-label={props.label}
      ref={root}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          props.onNo();
        }
      }}
    >
      <span class="mld-Grow">{props.question}</span>
      {props.children}
      <span class="mld-Actions">
        <Button kind={props.danger ? 'dangerFill' : 'primary'} busy={props.busy} disabled={props.ready === false} onClick={props.onYes}>{props.yes}</Button>
        <span data-safe><Button onClick={props.onNo}>{props.no}</Button></span>
      </span>
    </div>
  );
}

/** Text in which `code` stands between backticks, as the hints of errors are written. */
export function Marked({ text }: { text: string }): JSX.Element {
  return <>{text.split(/`([^`\n]+)`/).map((part, at) => (at % 2 ? <code>{part}</code> : part))}</>;
}

/** Tells screen readers what changed, at most once a second; the log is never announced. */
export function Announcer({ text }: { text: string }) {
  const [said, setSaid] = useState('');
  const next = useRef(text);
  next.current = text;
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    if (text === said || timer.current) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      setSaid(next.current);
    }, 1000);
  }, [text, said]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return <p class="mld-VisuallyHidden" role="status">{said}</p>;
}
