/** The page at /docs: shows /openapi.json, the description of what is asked over HTTP. */

const made = (tag, text, ...children) => {
  const element = document.createElement(tag);
  element.append(...(text ? [text] : []), ...children);
  return element;
};

const row = (...cells) => made('tr', '', ...cells.map((cell) => made('td', cell)));

const table = (title, heads, rows) => {
  const head = made('tr', '', ...heads.map((text) => made('th', text)));
  for (const cell of head.children) cell.scope = 'col';
  return made('table', '', made('caption', title), made('thead', '', head), made('tbody', '', ...rows));
};

/** A schema with what it refers to; none has no fields. */
const resolved = (api, schema = {}) =>
  schema.$ref ? api.components.schemas[schema.$ref.split('/').at(-1)] : schema;

/** Fields of an object, those of all its parts. */
const fields = (api, schema) => {
  const whole = resolved(api, schema);
  return (whole.allOf ?? [whole]).flatMap((one) => Object.entries(resolved(api, one).properties ?? {}));
};

const kindOf = (schema) => {
  if (schema.enum) return schema.enum.join(', ');
  if (schema.items) return `list of ${kindOf(schema.items)}`;
  const limits = schema.minimum === undefined ? '' : ` ${schema.minimum} to ${schema.maximum}`;
  return `${schema.format === 'binary' ? 'file' : (schema.type ?? 'any')}${limits}`;
};

const operation = (api, path, method, told) => {
  const section = made('section', '', made('h2', `${method.toUpperCase()} ${path}`), made('p', told.summary));
  for (const [kind, body] of Object.entries(told.requestBody?.content ?? {})) {
    const rows = fields(api, body.schema).map(([name, schema]) => row(name, kindOf(schema), schema.description ?? ''));
    section.append(table(kind, ['field', 'what it is', ''], rows));
  }
  const answers = Object.entries(told.responses).map(([status, answer]) =>
    row(status, Object.keys(answer.content ?? {}).join(', '), answer.description),
  );
  section.append(table('Answers', ['status', 'type', 'when'], answers));
  return section;
};

const api = await (await fetch('openapi.json')).json();
document.getElementById('about').textContent = api.info.description;
const operations = document.getElementById('operations');
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, told] of Object.entries(methods)) operations.append(operation(api, path, method, told));
}
