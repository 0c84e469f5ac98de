import { useState } from 'preact/hooks';
import type { CodeSample, Service } from '../protocol';
import { Highlighted } from './highlight';
import { icon } from './icons';
import { Awaited, Button, CopyButton, Marked, Segments } from './parts';
import { readKey, refOf, usePort, useRequest } from './port_context';
import { t, translated } from './translation';

/** Code that calls the service and runs as it stands. The key is never in it. */
export function CodeTab({ service }: { service: Service }) {
  const port = usePort();
  const { answer, failure } = useRequest('service.code', refOf(service), `${service.revision} ${service.scoringUri} ${service.auth}`);
  const [language, setLanguage] = useState<CodeSample['language']>('python');
  if (!answer) return <Awaited failure={failure}>{t`Writing the code…`}</Awaited>;
  const sample = answer.find(one => one.language === language) ?? answer[0];
  if (!sample) return null;
  const isToken = service.auth === 'token';
  const copy = isToken ? t`Copy the token` : t`Copy the key`;
  return (
    <div class="mld-Pane mld-Stack">
      <div class="mld-Row">
        <Segments label={t`Language`} value={sample.language} options={answer.map(one => [one.language, one.title])} onPick={setLanguage} />
        <span class="mld-Grow" />
        {port.insertCell && sample.language === 'python' && <Button optional onClick={() => port.insertCell?.(sample.text)}>{icon('insert')}{t`Insert as cell`}</Button>}
        <CopyButton label={t`Copy the code`} copy={() => sample.text} />
      </div>
      <pre class="mld-Code" tabIndex={0} role="group" aria-label={t`${sample.title} code`}><Highlighted text={sample.text} language={sample.language} /></pre>
      {sample.note && <p class="mld-Muted">{translated(sample.note)}</p>}
      {service.auth === 'none' ? null : (
        <p class="mld-Muted"><Marked text={isToken ? t`The token is read from \`SCORING_KEY\`; it is never written into code.` : t`The key is read from \`SCORING_KEY\`; it is never written into code.`} /> <CopyButton link label={copy} copy={() => readKey(port, service)}>{copy}</CopyButton></p>
      )}
    </div>
  );
}
