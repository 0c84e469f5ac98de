import type { Cause as CauseData, Where } from '../protocol';
import { capital } from './format';
import { Marked } from './parts';
import { usePort } from './port_context';
import { listed } from './format';
import { t } from './translation';

/** Why it failed, in the words of the terminal's three lines; beside it the lines of the cell. */
export function Cause({ cause }: { cause: CauseData }) {
  return (
    <div class="mld-Cause" role="alert">
      <div>
        <p class="mld-Cause-what">{capital(cause.what)}</p>
        <dl>
          {cause.why && <><dt>{t`Cause`}</dt><dd><Marked text={capital(cause.why)} /></dd></>}
          {cause.hint && <><dt>{t`Hint`}</dt><dd><Marked text={capital(cause.hint)} /></dd></>}
          {cause.where && <><dt>{t`Where`}</dt><dd><Place where={cause.where} /></dd></>}
        </dl>
      </div>
      {cause.where?.excerpt.length ? <Excerpt where={cause.where} /> : null}
    </div>
  );
}

function Place({ where }: { where: Where }) {
  const port = usePort();
  const { cell, line } = where;
  const label = cell === null ? '' : line === null ? t`cell ${cell}` : t`cell line ${line}`;
  if (!label || !port.focusCell) return <>{listed(label, where.text)}</>;
  return (
    <>
      <button type="button" class="mld-Link" onClick={() => port.focusCell?.(cell as number, line ?? 1)}>{label}</button>
      {where.text && <>, {where.text}</>}
    </>
  );
}

function Excerpt({ where }: { where: Where }) {
  const lines = where.excerpt;
  const label = t`${where.file}, lines ${lines[0]!.line} to ${lines.at(-1)!.line}`;
  return (
    <figure class="mld-Excerpt">
      <figcaption>
        <span class="mld-Grow mld-Cut">{where.cell === null ? null : <>{t`Cell ${where.cell}`}, </>}<code>{where.file}</code></span>
      </figcaption>
      <pre tabIndex={0} role="group" aria-label={label}>
        {lines.map(line => (
          <span class={line.guilty ? 'mld-mod-hit' : undefined} key={line.line}><b>{line.line}</b>{line.text}{'\n'}</span>
        ))}
      </pre>
    </figure>
  );
}
