import { useEffect, useRef, useState } from 'preact/hooks';
import type { Failure, Form, FormCheck, FormField, Port, Requests } from '../../protocol';
import { Highlighted } from '../highlight';
import { icon } from '../icons';
import { Awaited, Button, CopyButton, FailureMessage, IconButton, Message, Pick, Segments, withValue, focusControl } from '../parts';
import { PortProvider, asFailure, useOrder, usePort, useId } from '../port_context';
import { isArray } from '../inline_test/json_text';
import { listed } from '../format';
import { msg, plural, t, translated } from '../translation';

type Values = Record<string, unknown>;
type Submitted = Requests['form.submit'][1];

export interface FormViewProps {
  form: Form['form'];
  service?: string;
  workspace?: string;
  /** Describes the form anew when it changes, and keeps what was typed. */
  version?: unknown;
  /** Values that are there from the start, as if they had been typed. */
  given?: Values;
  /** The id of the output that it stands in: the kernel writes there what the form began. */
  output?: string | undefined;
  onBegun: (begun: Submitted) => void;
  onClose?: () => void;
}

const OTHER = { value: '\0', label: msg`Other…`, detail: '' }; // no value: another is typed
const CHECK_DELAY = 250; // milliseconds without a key before the values are checked

/** A form of its own, with a header: what `%deploy` without a name shows. */
export function FormPanel({ port, ...props }: FormViewProps & { port: Port }) {
  return (
    <PortProvider value={port}>
      <section class="mld mld-Panel" aria-label={props.form === 'register' ? t`Register a model` : t`Deploy a model`}>
        <FormView {...props} header />
      </section>
    </PortProvider>
  );
}

/** A form that is described as data. It is checked as it is typed, and says before it runs what it would run. */
export function FormView({ form: kind, service, workspace, version, given = {}, output, onBegun, onClose, header }: FormViewProps & { header?: boolean }) {
  const port = usePort();
  const where = { form: kind, ...(service ? { service } : {}), ...(workspace ? { workspace } : {}) };
  const [form, setForm] = useState<Form | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [values, setValues] = useState<Values>(given);
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set(Object.keys(given)));
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [check, setCheck] = useState<FormCheck | null>(null);
  const [language, setLanguage] = useState<FormCheck['previews'][number]['kind']>('python');
  const [advanced, setAdvanced] = useState(false);
  const [registering, setRegistering] = useState(false);
  const root = useRef<HTMLFormElement>(null);
  const begun = useRef(false);
  const { busy, failure: refused, order, dismiss } = useOrder();
  const focus = (field: string) => focusControl(root, `[data-field="${CSS.escape(field)}"]`);
  useEffect(() => {
    if (refused?.field) focus(refused.field);
  }, [refused]);

  useEffect(() => {
    let current = true;
    port.request('form.describe', where).then(
      described => {
        if (!current) return;
        setForm(described);
        // What was typed stays, but not what the deployment that it began has made true.
        const kept = begun.current ? new Set<string>() : touched;
        begun.current = false;
        setTouched(kept);
        setValues(before => ({ ...described.values, ...pick(before, kept) }));
      },
      reason => current && setFailure(asFailure(reason)),
    );
    return () => {
      current = false;
    };
  }, [port, kind, service, workspace, version]);

  const fields = form?.fields.filter(field => isVisible(field, values)) ?? [];
  const sent = pick(values, new Set(fields.map(field => field.key)));
  const key = JSON.stringify(sent);
  const askCheck = () => port.request('form.check', { ...where, values: sent });
  useEffect(() => {
    if (!form) return undefined;
    let current = true;
    const timer = setTimeout(() => {
      askCheck().then(
        checked => current && setCheck(checked),
        () => undefined, // the last check stays; sending says what is wrong
      );
    }, check ? CHECK_DELAY : 0);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [form, key]);

  if (!form) return <Awaited failure={failure}>{t`Reading what can be set…`}</Awaited>;

  const set = (field: string, value: unknown) => {
    // What was wrong with an earlier value is not said of this one.
    if (!left.has(field)) setCheck(before => before && { ...before, problems: before.problems.filter(one => one.field !== field) });
    setValues(before => ({ ...before, [field]: value }));
    setTouched(before => new Set([...before, field]));
  };
  const problemOf = (field: FormField) => check?.problems.find(problem => problem.field === field.key && (left.has(field.key) || problem.level === 'warning'));
  const submit = async () => {
    setLeft(new Set(fields.map(field => field.key)));
    // What was typed a moment ago is not checked yet. Where the check fails, sending says what is wrong.
    const checked = await askCheck().catch(() => check);
    setCheck(checked);
    const wrong = checked?.problems.find(problem => problem.level === 'error' && fields.some(field => field.key === problem.field));
    if (wrong) {
      if (fields.find(field => field.key === wrong.field)?.advanced) setAdvanced(true);
      focus(wrong.field);
      return;
    }
    order('submit', () => port.request('form.submit', { ...where, values: sent }, output), answer => {
      begun.current = true;
      onBegun(answer);
    });
  };
  const title = kind === 'update' ? t`Update ${service}` : translated(form.title);
  const wrong = fields.filter(field => problemOf(field)?.level === 'error').map(field => translated(field.label));
  const sections = [...new Set(form.fields.map(field => field.section))];
  const some = fields.some(field => field.advanced);
  const preview = check?.previews.find(one => one.kind === language) ?? check?.previews[0];
  // What was typed a moment ago is not in the preview yet, so it is asked for again. Without a text something is missing.
  const readPreview = async () => {
    const fresh = await askCheck();
    setCheck(fresh);
    return fresh.previews.find(one => one.kind === preview?.kind)?.text ?? Promise.reject({ error: t`There is no code of this yet`, cause: t`Something is missing or wrong`, hint: t`Correct the fields` });
  };
  const changed = [...touched].filter(one => JSON.stringify(values[one] ?? null) !== JSON.stringify(form.values[one] ?? null));
  const unplaced = (check?.problems ?? []).filter(problem => !form.fields.some(field => field.key === problem.field));

  return (
    <form
      ref={root}
      class="mld-FormView"
      aria-label={title}
      noValidate
      onSubmit={event => {
        event.preventDefault();
        void submit();
      }}
      // A field keeps the focus while something is pressed: its message would move that from under the mouse.
      onMouseDown={event => (event.target as Element).closest('button, label') && event.preventDefault()}
      onFocusOut={event => {
        const field = (event.target as HTMLElement).closest<HTMLElement>('[data-field]')?.dataset['field'];
        if (field && touched.has(field)) setLeft(before => (before.has(field) ? before : new Set([...before, field])));
      }}
    >
      {header && (
        <header class="mld-Head">
          <span class="mld-State">{icon('insert')}</span>
          <h3 class="mld-Head-name">{title}</h3>
          <p class="mld-Head-meta" />
          <div class="mld-Actions">{onClose && <IconButton icon="close" label={t`Close`} onClick={onClose} />}</div>
        </header>
      )}
      <div class="mld-Form">
        <div class="mld-Pane">
          {sections.map(section => {
            const own = fields.filter(field => field.section === section && (advanced || !field.advanced));
            if (!own.length) return null;
            return (
              <div class={section ? 'mld-Fieldset' : undefined} key={section} role={section ? 'group' : undefined} aria-label={translated(section) || undefined}>
                {own.map(field => [
                  <FieldRow
                    key={field.key}
                    field={field}
                    value={values[field.key]}
                    problem={problemOf(field)}
                    onValue={value => set(field.key, value)}
                    onRegister={kind === 'deploy' && field.kind === 'models' ? () => setRegistering(!registering) : undefined}
                    registering={registering}
                  />,
                  registering && field.kind === 'models' && (
                    <div class="mld-Nested" key={`${field.key} register`}>
                      <FormView
                        form="register"
                        workspace={workspace}
                        onClose={() => setRegistering(false)}
                        onBegun={begun => {
                          setRegistering(false);
                          if (!begun.model) return;
                          field.choices.unshift({ value: begun.model, label: begun.model, detail: msg`registered now` });
                          set(field.key, [begun.model]);
                        }}
                      />
                    </div>
                  ),
                ])}
              </div>
            );
          })}
          {some && <div class="mld-Field"><span class="mld-Label" /><span class="mld-Inline"><button type="button" class="mld-Link" aria-expanded={advanced} onClick={() => setAdvanced(!advanced)}>{advanced ? t`Fewer settings` : t`More settings`}</button></span></div>}
        </div>
        <div class="mld-Pane mld-Stack">
          {preview ? (
            <>
              <div class="mld-Row">
                <h4 class="mld-H mld-Grow">{t`Same as`}</h4>
                <Segments label={t`Preview as`} value={preview.kind} options={check!.previews.map(one => [one.kind, translated(one.title)])} onPick={setLanguage} />
                <CopyButton label={t`Copy the call`} copy={readPreview} />
              </div>
              <pre class="mld-Code mld-Preview" tabIndex={0} role="group" aria-label={t`${translated(preview.title)} call`}><Highlighted text={preview.text} language={preview.kind === 'python' ? 'python' : 'curl'} /></pre>
              {port.insertCell && preview.kind !== 'cli' && <Button busy={busy === 'insert'} onClick={() => order('insert', readPreview, text => port.insertCell?.(text))}>{icon('insert')}{t`Insert as cell`}</Button>}
            </>
          ) : <p class="mld-Muted">{t`The same as code appears here once nothing is missing.`}</p>}
        </div>
      </div>
      {unplaced.map(problem => <div class="mld-Pane"><Message {...problem} /></div>)}
      <div class="mld-Foot">
        <button type="submit" class="mld-Btn mld-mod-primary" aria-busy={busy === 'submit'}>{busy === 'submit' && icon('busy', { spin: true })}{translated(form.submit)}</button>
        {kind === 'update' && <Button disabled={!changed.length} onClick={() => { setValues(form.values); setTouched(new Set()); setLeft(new Set()); }}>{t`Discard changes`}</Button>}
        {onClose && !header && <Button onClick={onClose}>{t`Close`}</Button>}
        <div class="mld-Muted mld-Grow">{wrong.length ? <Message text={t`${plural(wrong.length, 'field')} to correct: ${wrong.join(', ')}`} /> : translated(check?.note ?? '')}</div>
      </div>
      <FailureMessage failure={refused} onDismiss={dismiss} />
    </form>
  );
}

const pick = (values: Values, keys: ReadonlySet<string>): Values => Object.fromEntries(Object.entries(values).filter(([key]) => keys.has(key)));

function isVisible(field: FormField, values: Values): boolean {
  return Object.entries(field.visibleWhen).every(([key, wanted]) => wanted.includes(String(values[key] ?? '')));
}

/** Whether a choice is a bar of all its options: few, and short enough for one line beside the label. */
const isSegmented = ({ kind, choices }: FormField) => kind === 'choice' && choices.length <= 4 && choices.map(choice => choice.label).join('').length <= 30;

interface FieldRowProps { field: FormField; value: unknown; problem: FormCheck['problems'][number] | undefined; onValue: (value: unknown) => void; onRegister?: () => void; registering: boolean }

function FieldRow({ field, value, problem, onValue, onRegister, registering }: FieldRowProps) {
  const id = useId();
  const bad = problem?.level === 'error';
  const shared = { id, 'aria-invalid': bad || undefined, 'aria-describedby': problem ? `${id}-p` : undefined, title: translated(field.help) || undefined };
  const label = translated(field.label);
  const grouped = isSegmented(field) || field.kind === 'boolean';
  return (
    <div class="mld-Field" data-field={field.key}>
      {grouped ? <span class="mld-Label" id={`${id}-l`}>{field.kind === 'boolean' ? '' : label}</span> : <label class="mld-Label" for={id}>{label}</label>}
      <FieldControl field={field} value={value} onValue={onValue} shared={shared} onRegister={onRegister} registering={registering} />
      {problem && <Message {...problem} id={`${id}-p`} />}
    </div>
  );
}

type Shared = { id: string; 'aria-invalid': true | undefined; 'aria-describedby': string | undefined; title: string | undefined };

function FieldControl({ field, value, onValue, shared, onRegister, registering }: { field: FormField; value: unknown; onValue: (value: unknown) => void; shared: Shared; onRegister?: () => void; registering: boolean }) {
  const [other, setOther] = useState(false);
  const [typed, setTyped] = useState<[unknown, string]>([undefined, '']); // a value and how it was typed, such as 1 and 1.0
  const text = typed[0] === value && typed[1] ? typed[1] : value === null || value === undefined ? '' : String(value);
  const placeholder = translated(field.placeholder);
  if (field.kind === 'boolean') {
    return <span class="mld-Inline"><label class="mld-Check" title={shared.title}><input type="checkbox" id={shared.id} checked={value === true} onChange={event => onValue(event.currentTarget.checked)} />{translated(field.label)}</label></span>;
  }
  if (isSegmented(field)) {
    return <span class="mld-Inline"><Segments label={translated(field.label)} value={text} options={field.choices.map(choice => [choice.value, translated(choice.label)])} onPick={onValue} /></span>;
  }
  if (field.kind === 'choice') {
    return <Select field={field} value={text} onValue={onValue} shared={shared} />;
  }
  if (field.kind === 'models') {
    const chosen = isArray(value) ? (value as string[]) : [];
    return (
      <span class="mld-Inline">
        <Select field={field} value={chosen[0] ?? ''} onValue={one => onValue(one ? [one, ...chosen.slice(1)] : chosen.slice(1))} shared={shared} />
        {onRegister && <Button class="mld-mod-control" expanded={registering} onClick={onRegister}>{t`Register…`}</Button>}
      </span>
    );
  }
  if (field.kind === 'pairs' || field.kind === 'list' || field.kind === 'long-text') {
    const lines = field.kind === 'pairs' ? Object.entries((value as Record<string, unknown> | null) ?? {}).map(([key, one]) => `${key}=${String(one)}`).join('\n') : isArray(value) ? value.join('\n') : text;
    return <Lines kind={field.kind} text={lines} placeholder={placeholder || (field.kind === 'pairs' ? t`KEY=VALUE, one a line` : '')} onValue={onValue} shared={shared} />;
  }
  const numeric = field.kind === 'integer' || field.kind === 'number';
  if (field.kind === 'secret') {
    return <span class="mld-Inline"><input class="mld-Input" type="password" autocomplete="new-password" placeholder={placeholder} value={text} onInput={withValue(onValue)} {...shared} /></span>;
  }
  const listed = field.kind === 'combo' && field.choices.length > 0;
  const input = (
    <input
      class={numeric ? 'mld-Input mld-Narrow' : 'mld-Input'}
      type="text"
      autocomplete="off"
      inputMode={field.kind === 'integer' ? 'numeric' : field.kind === 'number' ? 'decimal' : undefined}
      spellcheck={false}
      placeholder={placeholder}
      value={text}
      onInput={withValue(text => {
        const next = numeric ? numberOf(text) : text;
        setTyped([next, text]);
        onValue(next);
      })}
      {...shared}
      {...(listed ? { id: undefined, 'aria-label': translated(field.label) } : {})}
    />
  );
  const free = !listed || other || (text !== '' && !field.choices.some(choice => choice.value === text));
  return (
    <span class="mld-Inline">
      {listed && <Select field={{ ...field, choices: [...field.choices, OTHER] }} value={free ? OTHER.value : text} onValue={one => { setOther(one === OTHER.value); onValue(one === OTHER.value ? '' : one); }} shared={shared} />}
      {free ? input : null}
      {field.unit && <span class="mld-Unit">{translated(field.unit)}</span>}
    </span>
  );
}

/** What was typed, as a number where JSON has it: any other text is refused by the check, in its own words. */
function numberOf(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) && !/[.e]$/i.test(trimmed) && Number.isFinite(Number(trimmed)) ? Number(trimmed) : text;
}

function Select({ field, value, onValue, shared }: { field: FormField; value: string; onValue: (value: string) => void; shared: Shared }) {
  const options = field.choices.map(choice => [choice.value, listed(translated(choice.label), translated(choice.detail))] as [string, string]);
  if (!field.choices.some(choice => choice.value === value)) options.unshift([value, value || translated(field.placeholder) || t`Choose…`]);
  return <Pick control value={value} options={options} onPick={onValue} {...shared} />;
}

function Lines({ kind, text, placeholder, onValue, shared }: { kind: string; text: string; placeholder: string; onValue: (value: unknown) => void; shared: Shared }) {
  const [typed, setTyped] = useState(text);
  const last = useRef(text);
  useEffect(() => {
    if (last.current !== text) {
      last.current = text;
      setTyped(text);
    }
  }, [text]);
  const input = (next: string) => {
    setTyped(next);
    const lines = next.split('\n').map(line => line.trim()).filter(Boolean);
    const value = kind === 'pairs' ? Object.fromEntries(lines.map(line => [line.split('=')[0]!.trim(), line.split('=').slice(1).join('=').trim()])) : kind === 'list' ? lines : next;
    last.current = kind === 'pairs' ? Object.entries(value as object).map(([key, one]) => `${key}=${String(one)}`).join('\n') : kind === 'list' ? lines.join('\n') : next;
    onValue(value);
  };
  return <textarea class="mld-Input mld-Area" rows={2} placeholder={placeholder} spellcheck={false} value={typed} onInput={withValue(input)} {...shared} />;
}
