import type { Service } from '../../protocol';
import type { OpenApi, Operation, Schema } from '../inline_test/input_schema';
import { Awaited, Button, Scroll, isArray, listed, plural, refOf, t, translated, useMemo, useRequest, useState } from '../shared';

interface Row { name: string; type: string; required: boolean; sample: string }

const FEW = 12; // fields shown at first

/** The service's OpenAPI document, read for people. */
export function ApiTab({ service, onTry }: { service: Service; onTry: () => void }) {
  const { answer, failure } = useRequest('service.openapi', refOf(service), `${service.revision} ${service.state}`);
  const document = answer?.document as OpenApi | undefined;
  const operations = useMemo(() => (document ? list(document) : []), [document]);
  const [chosen, setChosen] = useState('POST /score');
  if (!document) return <Awaited failure={failure}>{t`Reading the service’s OpenAPI document…`}</Awaited>;
  const current = operations.find(one => one.id === chosen) ?? operations[0];
  return (
    <div class="mld-Api">
      <div class="mld-Pane mld-Ops">
        {operations.map(one => (
          <button type="button" class="mld-Op" key={one.id} aria-current={one === current ? 'true' : undefined} onClick={() => setChosen(one.id)}>
            <span class="mld-Verb">{one.verb}</span><code>{one.path}</code><span class="mld-Muted mld-Cut">{one.operation.summary ?? ''}</span>
          </button>
        ))}
      </div>
      {current && <OperationView key={current.id} {...current} document={document} auth={service.auth} onTry={onTry} />}
    </div>
  );
}

function list(document: OpenApi) {
  const found = Object.entries(document.paths ?? {}).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, operation]) => ({ id: `${verb.toUpperCase()} ${path}`, verb: verb.toUpperCase(), path, operation })));
  return found.sort((a, b) => Number(b.path === '/score') - Number(a.path === '/score'));
}

function OperationView({ verb, path, operation, document, auth, onTry }: { verb: string; path: string; operation: Operation; document: OpenApi; auth: string; onTry: () => void }) {
  const [all, setAll] = useState(false);
  const content = operation.requestBody?.content ?? {};
  const media = Object.keys(content);
  const body = content['application/json'];
  const rows = body?.schema ? fields(body.schema, document, body.example ?? body.schema.example) : [];
  const shown = all ? rows : rows.slice(0, FEW);
  const needsKey = path === '/score' && auth !== 'none';
  return (
    <div class="mld-Pane mld-Stack">
      <div class="mld-Row">
        <h4 class="mld-H mld-Grow">{verb} {path}</h4>
        <span class="mld-Muted mld-mod-optional mld-Cut">{listed(...media, needsKey && (auth === 'token' ? t`needs a token` : t`needs a key`))}</span>
        {path === '/score' && verb === 'POST' && <Button onClick={onTry}>{t`Try in Test`}</Button>}
      </div>
      {rows.length ? (
        <Scroll label={t`Request fields`}>
          <table class="mld-Table mld-mod-flush">
            <thead><tr><th scope="col">{t`Request field`}</th><th scope="col">{t`Type`}</th><th scope="col" class="mld-mod-optional">{t`Required`}</th><th scope="col" class="mld-Num">{t`Sample`}</th></tr></thead>
            <tbody>{shown.map(row => <tr key={row.name}><th scope="row"><code>{row.name}</code></th><td>{row.type}</td><td class="mld-mod-optional">{row.required ? t`Yes` : t`No`}</td><td class="mld-Num">{row.sample}</td></tr>)}</tbody>
          </table>
        </Scroll>
      ) : null}
      {rows.length > FEW && !all && <button type="button" class="mld-Link" onClick={() => setAll(true)}>{t`Show ${rows.length - FEW} more fields`}</button>}
      <Scroll label={t`Responses`}>
        <table class="mld-Table mld-mod-flush">
          <thead><tr><th scope="col">{t`Response`}</th><th scope="col">{t`When`}</th></tr></thead>
          <tbody>
            {Object.entries(operation.responses ?? {}).map(([status, response]) => {
              const schema = status.startsWith('2') ? response.content?.['application/json']?.schema : undefined;
              return <tr key={status}><th scope="row">{status}</th><td>{translated(response.description ?? '')}{schema && Object.keys(schema).length ? <>: <code>{typeName(schema, document)}</code></> : null}</td></tr>;
            })}
          </tbody>
        </table>
      </Scroll>
    </div>
  );
}

function fields(schema: Schema, document: OpenApi, example: unknown, prefix = '', depth = 0): Row[] {
  if (depth > 6) return [];
  const needed = new Set(schema.required ?? []);
  const inside = (value: unknown, key: string) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined);
  return Object.entries(schema.properties ?? {}).flatMap(([key, raw]) => {
    const own = deref(raw, document);
    const name = prefix + key;
    const sample = inside(example, key);
    const row: Row = { name, type: typeName(own, document), required: needed.has(key), sample: sampleText(sample) };
    const items = own.items ? deref(own.items, document) : undefined;
    if (items?.properties) return [row, ...fields(items, document, isArray(sample) ? sample[0] : undefined, `${name}[].`, depth + 1)];
    return own.properties ? [row, ...fields(own, document, sample, `${name}.`, depth + 1)] : [row];
  });
}

function deref(schema: Schema, document: OpenApi): Schema {
  return schema.$ref ? (document.components?.schemas?.[schema.$ref.split('/').at(-1) ?? ''] ?? {}) : schema;
}

function typeName(raw: Schema, document: OpenApi, depth = 0): string {
  const schema = deref(raw, document);
  const types = [schema.type ?? (schema.properties ? 'object' : 'any')].flat();
  const or = (one: string, other: string) => t`${one} or ${other}`;
  const nullable = (type: string) => (types.includes('null') ? or(type, 'null') : type);
  const type = types.filter(one => one !== 'null').reduce((one, other) => (one ? or(one, other) : other), '') || 'null';
  if (type === 'array' && schema.items && depth < 4) {
    const items = deref(schema.items, document);
    return nullable(items.properties ? t`array of rows` : t`array of ${typeName(items, document, depth + 1)}`);
  }
  return nullable(schema.format && type === 'string' ? schema.format : type);
}

function sampleText(value: unknown): string {
  if (value === undefined) return '';
  if (isArray(value)) return plural(value.length, 'item');
  if (typeof value === 'object' && value !== null) return '';
  const text = JSON.stringify(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}
