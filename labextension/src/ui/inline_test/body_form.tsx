import { useEffect, useRef, useState } from 'preact/hooks';
import { icon } from '../icons';
import { type Scalar, type Shape, cellText, emptyRow, fits, typedValue } from './input_schema';
import { type Json, JsonError, type Path, formatJson, getAt, parseJson, setAt } from './json_text';
import { parseBlock } from './paste';
import { Button, IconButton, Message, Scroll, withValue } from '../parts';
import { useId } from '../port_context';
import { plural, t } from '../translation';

export interface Problem { path: Path; text: string }

interface EditorProps { value: Json; onChange: (value: Json) => void; problems: Problem[] }

/** The body as a form: tables for frames and arrays, fields for the rest. It and the JSON text are one value. */
export function BodyForm({ shape, answered, ...editor }: EditorProps & { shape: Shape; answered: number }) {
  const root = useRef<HTMLDivElement>(null);
  // Once for each answer: correcting one of two wrong values must not move the focus to the other.
  useEffect(() => {
    if (editor.problems.length) root.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [answered]);
  return <div class="mld-Stack" ref={root}><Part shape={shape} path={[]} label={t`Body`} {...editor} /></div>;
}

function Part({ shape, path, label, ...editor }: EditorProps & { shape: Shape; path: Path; label: string }) {
  const value = getAt(editor.value, path);
  if (shape.shape === 'group' && fits(shape, value)) {
    const simple = shape.fields.every(field => field.shape.shape === 'scalar');
    return (
      <>
        {shape.fields.map(field => (
          <Part key={field.key} shape={field.shape} path={[...path, field.key]} label={simple || shape.fields.length > 1 || path.length ? field.key : ''} {...editor} />
        ))}
      </>
    );
  }
  if (shape.shape === 'scalar' && fits(shape, value)) return <ScalarField scalar={shape.scalar} path={path} label={label} {...editor} />;
  if (shape.shape === 'table' && fits(shape, value)) {
    return (
      <div class="mld-Stack">
        {label && <h4 class="mld-H">{label}</h4>}
        <TableField shape={shape} path={path} label={label} {...editor} />
      </div>
    );
  }
  return <JsonPart path={path} label={label} {...editor} />;
}

const samePath = (a: Path, b: Path) => a.length === b.length && a.every((step, at) => step === b[at]);
/** The problem of exactly this control: of its value, or of what it stands for. */
const problemAt = (problems: Problem[], path: Path) => problems.find(problem => samePath(problem.path, path));

function ScalarField({ scalar, path, label, value: body, onChange, problems }: EditorProps & { scalar: Scalar; path: Path; label: string }) {
  const id = useId();
  const value = getAt(body, path);
  const problem = problemAt(problems, path);
  const set = (text: string) => onChange(setAt(body, path, typedValue(text, scalar)));
  return (
    <div class="mld-Field">
      <label class="mld-Label" for={id}>{label}{scalar.required ? '' : <span class="mld-Muted"> {t`(optional)`}</span>}</label>
      <span class="mld-Inline"><Control id={id} scalar={scalar} text={cellText(value)} isNull={value === null} onText={set} invalid={!!problem} describedBy={problem ? `${id}-p` : undefined} /></span>
      {problem && <Message id={`${id}-p`} text={problem.text} />}
    </div>
  );
}

interface ControlProps { id?: string; scalar: Scalar; text: string; isNull: boolean; onText: (text: string) => void; invalid: boolean; describedBy?: string; label?: string; compact?: boolean }

function Control({ id, scalar, text, isNull, onText, invalid, describedBy, label, compact }: ControlProps) {
  const shared = { id, 'aria-label': label, 'aria-invalid': invalid || undefined, 'aria-describedby': describedBy };
  if (scalar.kind === 'boolean' || scalar.kind === 'choice') {
    const choices = scalar.kind === 'boolean' ? ['true', 'false'] : scalar.choices;
    const all = choices.includes(text) ? choices : [text, ...choices];
    const select = <select class={compact ? 'mld-Frame-select' : 'mld-Select'} value={text} onChange={withValue(onText)} {...shared}>{all.map(one => <option key={one} value={one}>{one || (scalar.nullable ? 'null' : '–')}</option>)}</select>;
    return compact ? select : <span class="mld-Pick">{select}{icon('down')}</span>;
  }
  const numeric = scalar.kind === 'number' || scalar.kind === 'integer';
  return (
    <input
      class={compact ? (numeric ? undefined : 'mld-Frame-text') : 'mld-Input'}
      inputMode={numeric ? (scalar.kind === 'integer' ? 'numeric' : 'decimal') : undefined}
      placeholder={isNull ? 'null' : scalar.format === 'date-time' ? '2026-01-31T12:00' : undefined}
      autocomplete="off"
      spellcheck={false}
      value={text}
      onInput={withValue(onText)}
      {...shared}
    />
  );
}

const MOST_ROWS = 50; // rows drawn; more are in the JSON view and are sent all the same

function TableField({ shape, path, label, value: body, onChange, problems }: EditorProps & { shape: Shape & { shape: 'table' }; path: Path; label: string }) {
  const id = useId();
  const table = useRef<HTMLTableElement>(null);
  const rows = (getAt(body, path) as Json[] | null | undefined) ?? [];
  const cellPath = (row: number, column: number): Path =>
    shape.rows === 'values' ? [...path, row] : [...path, row, shape.rows === 'lists' ? column : shape.columns[column]!.key];
  const setRows = (next: Json[]) => onChange(setAt(body, path, next));
  const below = problems.filter(problem => problem.path.length > path.length && samePath(problem.path.slice(0, path.length), path));
  const own = problemAt(problems, path);
  const said = below[0] ?? own;
  const keys = shape.columns.map(column => column.key);

  const onPaste = (event: ClipboardEvent) => {
    const block = parseBlock(event.clipboardData?.getData('text/plain') ?? '', keys);
    const cell = (event.target as HTMLElement).closest<HTMLElement>('td[data-row]');
    if (!block || !cell) return;
    event.preventDefault();
    const startRow = Number(cell.dataset['row']);
    const startColumn = block.header ? 0 : Number(cell.dataset['column']);
    const next = [...rows];
    block.rows.forEach((cells, down) => {
      const at = startRow + down;
      if (at >= next.length) {
        if (!shape.growing) return;
        next.push(emptyRow(shape));
      }
      cells.forEach((text, right) => {
        const column = block.header ? keys.indexOf(block.header[right] ?? '') : startColumn + right;
        if (column < 0 || column >= keys.length) return;
        const typed = typedValue(text.trim(), shape.columns[column]!.scalar);
        next[at] = shape.rows === 'values' ? (typed ?? null) : setAt(next[at]!, [shape.rows === 'lists' ? column : keys[column]!], typed);
      });
    });
    setRows(next);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const cell = (event.target as HTMLElement).closest<HTMLElement>('td[data-row]');
    const step: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, Enter: 1 };
    if (!cell || !(event.key in step) || event.ctrlKey || event.metaKey || (event.target as HTMLElement).tagName === 'SELECT') return;
    const to = table.current?.querySelector<HTMLElement>(`td[data-row="${Number(cell.dataset['row']) + step[event.key]!}"][data-column="${cell.dataset['column']}"] :is(input, select)`);
    if (!to) return;
    event.preventDefault();
    to.focus();
  };

  const shown = rows.slice(0, MOST_ROWS);
  const title = t`${label || t`Rows`} to score`;
  return (
    <>
      <Scroll label={title}>
        <table class="mld-Frame" aria-label={title} ref={table} onPaste={onPaste} onKeyDown={onKeyDown}>
          <thead>
            <tr>
              <th scope="col"><span class="mld-VisuallyHidden">{t`Row`}</span></th>
              {shape.columns.map(column => <th scope="col" key={column.key} title={`${column.key}: ${column.scalar.describe}`}>{column.key}</th>)}
              {shape.growing && <th scope="col"><span class="mld-VisuallyHidden">{t`Remove`}</span></th>}
            </tr>
          </thead>
          <tbody>
            {shown.map((_, row) => (
              <tr key={row}>
                <th scope="row">{row}</th>
                {shape.columns.map((column, at) => {
                  const place = cellPath(row, at);
                  const value = getAt(body, place);
                  const problem = problemAt(problems, place) ?? (at === 0 ? problemAt(problems, [...path, row]) : undefined);
                  return (
                    <td key={column.key} data-row={row} data-column={at}>
                      <Control
                        compact
                        scalar={column.scalar}
                        label={t`${column.key}, row ${row}`}
                        text={cellText(value)}
                        isNull={value === null}
                        invalid={!!problem}
                        describedBy={problem ? `${id}-p` : undefined}
                        onText={text => onChange(setAt(body, place, typedValue(text, column.scalar)))}
                      />
                    </td>
                  );
                })}
                {shape.growing && <td><IconButton icon="close" label={t`Remove row ${row}`} onClick={() => setRows(rows.filter((_row, at) => at !== row))} /></td>}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {said && <Message id={`${id}-p`} text={below.length > 1 ? `${said.text} ${below.length === 2 ? t`1 more value does not fit.` : t`${below.length - 1} more values do not fit.`}` : said.text} />}
      <div class="mld-Row">
        {shape.growing && <Button onClick={() => setRows([...rows, emptyRow(shape)])}>{icon('plus')}{t`Add row`}</Button>}
        <span class="mld-Muted mld-Grow mld-Cut mld-mod-optional">{rows.length > MOST_ROWS ? t`${MOST_ROWS} of ${rows.length} rows; all are sent.` : `${plural(rows.length, 'row')}.`} {t`Paste cells from a spreadsheet or a printed DataFrame.`}</span>
      </div>
    </>
  );
}

function JsonPart({ path, label, value: body, onChange, problems }: EditorProps & { path: Path; label: string }) {
  const id = useId();
  const value = getAt(body, path);
  const problem = problems.find(one => samePath(one.path.slice(0, path.length), path));
  return (
    <div class="mld-Stack">
      <JsonEditor id={id} label={label || 'JSON'} value={value ?? null} onChange={next => onChange(setAt(body, path, next))} invalid={!!problem} />
      {problem && <Message text={problem.text} />}
    </div>
  );
}

/** JSON as text. While it is not JSON the message says where, and the value stays as it was. */
export function JsonEditor({ id, label, value, draft, onChange, onText, invalid, rows = 8 }: { id?: string; label: string; value: Json; draft?: string | null; onChange: (value: Json) => void; onText?: (text: string, error: string) => void; invalid?: boolean; rows?: number }) {
  const [text, setText] = useState(() => draft ?? formatJson(value));
  const [error, setError] = useState(() => (draft ? jsonProblem(draft) : ''));
  const last = useRef(value);
  useEffect(() => {
    if (last.current === value) return;
    last.current = value;
    setText(formatJson(value));
    setError('');
  }, [value]);
  const input = (next: string) => {
    setText(next);
    const problem = jsonProblem(next);
    if (!problem) {
      last.current = parseJson(next);
      onChange(last.current);
    }
    setError(problem);
    onText?.(next, problem);
  };
  const message = error ? t`This is not JSON: ${error}.` : '';
  const messageId = useId();
  return (
    <>
      <textarea id={id} class="mld-Input mld-mod-mono mld-Area" aria-label={label} aria-invalid={!!error || invalid || undefined} aria-describedby={error ? messageId : undefined} rows={rows} spellcheck={false} value={text} onInput={withValue(input)} />
      {message && <Message id={messageId} text={message} />}
    </>
  );
}

function jsonProblem(text: string): string {
  try {
    parseJson(text);
    return '';
  } catch (reason) {
    return reason instanceof JsonError ? reason.message : String(reason);
  }
}
