import { useState } from 'preact/hooks';
import type { Answer } from '../../protocol';
import { clock, count, milliseconds, size } from '../format';
import { Highlighted } from '../highlight';
import { icon } from '../icons';
import { formatJson, parseJson } from './json_text';
import { CopyButton, FailureMessage, Fold } from '../parts';
import { t, translated } from '../translation';

const colour = (part: number) => `mld-c${(part % 5) + 1}`; // the style sheet has five

/** What a service answered: status, body, where the time went, headers. */
export function AnswerView({ answer }: { answer: Answer }) {
  const [open, setOpen] = useState(false);
  const ok = answer.status >= 200 && answer.status < 300;
  const json = /\bjson\b/.test(answer.contentType) ? pretty(answer.text) : null;
  const total = answer.timing.reduce((sum, part) => sum + part.ms, 0);
  return (
    <>
      <div class="mld-Row">
        <span class="mld-State" data-state={ok ? 'done' : 'failed'} role="status">{icon(ok ? 'done' : 'failed')}<b class="mld-Word">{answer.status} {answer.reason}</b></span>
        <span class="mld-Dots mld-Muted mld-Cut"><span><bdi>{milliseconds(answer.ms)}</bdi></span><span><bdi>{size(answer.bytes)}</bdi></span><span>{clock(answer.time, true)}</span></span>
        <span class="mld-Grow" />
        {answer.text && <CopyButton label={t`Copy the response`} copy={() => answer.text} />}
      </div>
      {answer.base64 && answer.contentType.startsWith('image/') ? (
        <img class="mld-Picture" alt={t`The picture that the service answered with`} src={`data:${answer.contentType.split(';')[0]};base64,${answer.base64}`} />
      ) : (
        <pre class="mld-Code mld-Answer" tabIndex={0} role="group" aria-label={t`Response body`}>
          {answer.text ? <Highlighted text={json ?? answer.text} language={json === null ? '' : 'json'} /> : <span class="c">{answer.bytes ? t`${size(answer.bytes)} of ${answer.contentType || t`bytes`}` : t`No body`}</span>}
          {answer.cut && <span class="c">{`\n… ${t`${size(answer.bytes)} in all`}`}</span>}
        </pre>
      )}
      <FailureMessage failure={answer.failure} />
      {answer.timing.length > 0 && (
        <div>
          <div class="mld-Row"><h4 class="mld-H mld-Grow">{t`Where the time went`}</h4><span class="mld-Muted">Server-Timing</span></div>
          <div class="mld-SplitBar" aria-hidden="true">{answer.timing.map((part, at) => <i class={colour(at)} style={{ '--w': String(total ? Math.max(part.ms / total, 0.002) : 1) }} />)}</div>
          <div class="mld-Legend">{answer.timing.map((part, at) => <><i class={colour(at)} /><span>{translated(part.title)}</span><b><bdi>{milliseconds(part.ms)}</bdi></b></>)}</div>
        </div>
      )}
      {answer.headers.length > 0 && (
        <>
          <Fold class="mld-mod-plain" open={open} onFold={() => setOpen(!open)}>{t`Headers`} <span class="mld-Muted">{count(answer.headers.length)}</span></Fold>
          {open && <dl class="mld-Pairs mld-Headers">{answer.headers.map(([name, value]) => <><dt>{name}</dt><dd class="mld-Cut" title={value}>{value}</dd></>)}</dl>}
        </>
      )}
    </>
  );
}

function pretty(text: string): string | null {
  try {
    return text.length > 200_000 ? null : formatJson(parseJson(text), '', 44);
  } catch {
    return null;
  }
}
