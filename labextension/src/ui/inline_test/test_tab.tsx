import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Answer, Body, Failure, Requests, Service } from '../../protocol';
import { AnswerView } from './answer';
import { BodyForm, JsonEditor, type Problem } from './body_form';
import { clock, milliseconds, size } from '../format';
import { type Input, type OpenApi, emptyValue, fits, readInput, type Shape } from './input_schema';
import { type Json, formatJson, getAt, parseJson } from './json_text';
import { Awaited, Button, CopyButton, FailureMessage, Message, Pick, Segments, consume } from '../parts';
import { asFailure, refOf, usePort, useRequest } from '../port_context';
import { t } from '../translation';

/** What stands in the form of a service without a sample. A script that takes any JSON mostly reads `data`, as in v1. */
function firstValue(shape: Shape): Json {
  return shape.shape === 'json' ? parseJson('{"data": []}') : emptyValue(shape);
}

type Tests = Requests['service.tests'][1];

/** Sends a request to the service. The form is made from the service's own OpenAPI document. */
export function TestTab({ service }: { service: Service }) {
  const ref = refOf(service);
  const { answer, failure, ask } = useRequest('service.openapi', ref, `${service.revision} ${service.state}`);
  const input = useMemo(() => (answer ? readInput(answer.document as OpenApi) : null), [answer]);
  if (!input) {
    return (
      <>
        <Awaited failure={failure}>{t`Reading what the service takes…`}</Awaited>
        {failure && <div class="mld-Pane"><Button onClick={ask}>{t`Try again`}</Button></div>}
      </>
    );
  }
  return <Tester key={service.revision} service={service} input={input} />;
}

function Tester({ service, input }: { service: Service; input: Input }) {
  const port = usePort();
  const ref = refOf(service);
  const samples = useRequest('service.samples', ref, service.revision);
  const [tests, setTests] = useState<Tests>([]);
  const shape = input.json?.shape ?? { shape: 'json' as const };
  const hasForm = shape.shape !== 'json';
  const [kind, setKind] = useState<'form' | 'json' | 'file'>(!input.json ? 'file' : hasForm ? 'form' : 'json');
  const [value, setValue] = useState<Json>(() => input.json?.example ?? (input.json ? firstValue(input.json.shape) : null));
  const [text, setText] = useState<string | null>(null); // JSON that cannot be parsed yet
  const [file, setFile] = useState<{ name: string; type: string; base64: string; bytes: number } | null>(null);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const [answered, setAnswered] = useState(0);
  const [filled, setFilled] = useState(0);
  const touched = useRef(false);

  useEffect(() => {
    port.request('service.tests', ref).then(setTests, () => undefined);
  }, [port, service.service, service.workspace]);
  useEffect(() => {
    const first = samples.answer?.[0]?.body;
    if (first && !touched.current) fill(first);
  }, [samples.answer]);

  const fill = (body: Body) => {
    setFilled(before => before + 1);
    if ('json' in body) {
      try {
        setValue(parseJson(body.json));
        setText(null);
        if (kind === 'file') setKind(hasForm ? 'form' : 'json');
      } catch {
        setText(body.json);
        setKind('json');
      }
    } else {
      setFile({ name: body.fileName ?? 'body', type: body.contentType, base64: body.base64, bytes: Math.floor((body.base64.length * 3) / 4) });
      setKind('file');
    }
  };
  const change = (next: Json) => {
    touched.current = true;
    setValue(next);
    if (answer?.problems.length) setAnswer({ ...answer, problems: answer.problems.filter(problem => getAt(next, problem.path) === getAt(value, problem.path)) });
  };
  const body = (): Body => (kind === 'file' && file ? { base64: file.base64, contentType: file.type || 'application/octet-stream', fileName: file.name } : { json: (kind === 'json' && text) || formatJson(value) });

  const send = () => {
    if (busy || (kind === 'file' && !file)) return;
    touched.current = true;
    setBusy(true);
    setFailure(null);
    const sent = body();
    port.request('service.score', { ...ref, body: sent }).then(
      got => {
        setBusy(false);
        setAnswer(got);
        setAnswered(before => before + 1);
        setTests(before => [{ time: got.time, body: sent, answer: got }, ...before].slice(0, 20));
      },
      reason => {
        setBusy(false);
        setFailure(asFailure(reason));
      },
    );
  };
  const code = async (language: 'curl' | 'python') => {
    const all = await port.request('service.code', { ...ref, body: body() });
    return all.find(one => one.language === language)?.text ?? '';
  };

  const there = { form: hasForm, json: !!input.json, file: input.bytes.length > 0 };
  const kinds = ([['form', t`Form`], ['json', 'JSON'], ['file', t`File`]] as const).filter(([one]) => there[one]);
  const problems: Problem[] = answer?.problems ?? [];
  const drawable = kind === 'form' && fits(shape, value);
  const parts = shape.shape === 'group' ? new Set<string | number>(shape.fields.map(field => field.key)) : null;
  const unplaced = problems.filter(problem => !drawable || !problem.path.length || (parts !== null && !parts.has(problem.path[0]!)));
  const stopped = service.state === 'stopped';

  return (
    <div
      class="mld-Split"
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          consume(event);
          send();
        }
      }}
    >
      <div class="mld-Pane mld-Stack">
        <div class="mld-Row">
          {kinds.length > 1 && <Segments label={t`Input as`} value={kind} options={kinds} onPick={setKind} />}
          <span class="mld-Muted mld-Grow mld-Cut mld-mod-optional" title={input.summary}>{input.summary}</span>
          {samples.answer?.length ? <Button optional onClick={() => { touched.current = true; setAnswer(null); fill(samples.answer![0]!.body); }}>{t`Fill with sample`}</Button> : null}
          <Pick label={t`History of requests`} value="" options={[['', t`History (${tests.length})`], ...tests.map((test, at) => [String(at), `${clock(test.time, true)}, ${test.answer.status}, ${milliseconds(test.answer.ms)}`] as [string, string])]} onPick={at => { const test = tests[Number(at)]; if (at && test) { touched.current = true; fill(test.body); setAnswer(test.answer); setFailure(null); } }} />
        </div>
        {kind === 'form' && <BodyForm shape={shape} value={value} onChange={change} problems={problems} answered={answered} />}
        {kind === 'json' && <JsonEditor key={filled} label={t`Request body as JSON`} value={value} draft={text} rows={10} onChange={change} onText={(next, error) => setText(error ? next : null)} invalid={problems.length > 0} />}
        {kind === 'file' && <FileField types={input.bytes} file={file} onFile={next => { touched.current = true; setFile(next); }} />}
        {unplaced.map(problem => <Message text={problem.text} />)}
        <div class="mld-Row mld-Row-go">
          <Button kind="primary" busy={busy} disabled={stopped || (kind === 'file' && !file)} onClick={send}>{busy ? t`Waiting for the answer…` : t`Send request`}{busy ? null : <span class="mld-Kbd mld-mod-optional">{t`Ctrl Enter`}</span>}</Button>
          <CopyButton label={t`Copy as curl`} copy={() => code('curl')}>{t`Copy as curl`}</CopyButton>
          <span class="mld-mod-optional"><CopyButton label={t`Copy as Python`} copy={() => code('python')}>{t`Copy as Python`}</CopyButton></span>
        </div>
        {stopped && <Message level="info" text={t`It is stopped. Start it to send a request.`} />}
        <FailureMessage failure={failure} onDismiss={() => setFailure(null)} />
      </div>
      <div class="mld-Pane mld-Stack" aria-busy={busy}>
        {answer ? <AnswerView answer={answer} /> : <p class="mld-Muted">{t`The answer will appear here, with its time and where it went.`}</p>}
      </div>
    </div>
  );
}

const LARGEST_FILE = 50_000_000; // bytes that pass through the notebook's connection

function FileField({ types, file, onFile }: { types: string[]; file: { name: string; type: string; base64: string; bytes: number } | null; onFile: (file: { name: string; type: string; base64: string; bytes: number }) => void }) {
  const [problem, setProblem] = useState('');
  const accept = types.filter(type => type !== '*/*').join(',');
  const pick = async (picked: File | undefined) => {
    if (!picked) return;
    if (picked.size > LARGEST_FILE) {
      setProblem(t`${picked.name} has ${size(picked.size)}; ${size(LARGEST_FILE)} can be sent from here. Use curl for a larger one.`);
      return;
    }
    setProblem('');
    const bytes = new Uint8Array(await picked.arrayBuffer());
    let binary = '';
    for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    onFile({ name: picked.name, type: picked.type || types.find(type => !type.includes('*')) || 'application/octet-stream', base64: btoa(binary), bytes: picked.size });
  };
  return (
    <div
      class="mld-Stack mld-Drop"
      onDragOver={event => event.preventDefault()}
      onDrop={event => {
        event.preventDefault();
        void pick(event.dataTransfer?.files[0]);
      }}
    >
      <label class="mld-Row">
        <input type="file" accept={accept || undefined} aria-label={t`File to send`} onChange={event => void pick(event.currentTarget.files?.[0])} />
      </label>
      <p class="mld-Muted">{file ? `${file.name}, ${file.type}, ${size(file.bytes)}` : t`Choose a file, or drop one here. It is sent as it is.`}</p>
      {file?.type.startsWith('image/') && <img class="mld-Picture" alt={file.name} src={`data:${file.type};base64,${file.base64}`} />}
      {problem && <Message text={problem} />}
    </div>
  );
}
