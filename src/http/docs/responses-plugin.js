// Saves space in an operation's responses: a refusal is a sentence with a folded example, and
// refusals that several operations share word for word are folded into one line.

const PROBLEM = 'application/problem+json';
/** A sentence that this many operations have is a shared one. */
const MIN_SHARED = 3;

const paragraphsOf = (response) => (response.get('description') ?? '').split('\n\n');
const isRefusal = (response, status) =>
  /^[45]/.test(status) && response.get('content')?.size === 1 && response.hasIn(['content', PROBLEM]);

let counted = { document: undefined, shared: new Set() };

/** The sentences about a refusal that at least MIN_SHARED operations have. */
function sharedParagraphs(document) {
  if (counted.document === document) return counted.shared;
  const counts = new Map();
  document.get('paths')?.forEach((operations) => operations.forEach((operation) =>
    operation.get?.('responses')?.forEach((response, status) => {
      if (!isRefusal(response, status)) return;
      for (const paragraph of paragraphsOf(response)) counts.set(paragraph, (counts.get(paragraph) ?? 0) + 1);
    })));
  const shared = [...counts].filter(([, count]) => count >= MIN_SHARED).map(([paragraph]) => paragraph);
  counted = { document, shared: new Set(shared) };
  return counted.shared;
}

/**
 * The response with only these paragraphs and their examples, or nothing if it has none of them.
 */
function keepParagraphs(response, isKept) {
  const paragraphs = paragraphsOf(response);
  const kept = paragraphs.filter(isKept);
  if (kept.length === 0) return undefined;
  if (kept.length === paragraphs.length) return response;
  const text = kept.join('\n\n');
  return response
    .set('description', text)
    .updateIn(['content', PROBLEM, 'examples'], (examples) => examples?.filter((_, code) => text.includes(`\`${code}\``)));
}

/** A refusal: its sentence, with its examples and headers folded. */
const Refusal = (system) => ({ code, response, className }) => {
  const { createElement: h } = system.React;
  const Markdown = system.getComponent('Markdown', true);
  const Headers = system.getComponent('headers');
  const examples = response.getIn(['content', PROBLEM, 'examples']);
  const headers = response.get('headers');
  return h(
    'tr',
    { className: `response ${className ?? ''}`, 'data-code': code },
    h('td', { className: 'response-col_status' }, code),
    h('td', { className: 'response-col_description', colSpan: 2 },
      h(Markdown, { source: response.get('description') }),
      h('details', null,
        h('summary', null, headers ? 'Example and headers' : 'Example'),
        examples?.entrySeq().map(([name, example]) =>
          h('pre', { key: name, tabIndex: 0 }, h('code', null, JSON.stringify(example.get('value'), null, 2)))),
        headers && h(Headers, { headers, getComponent: system.getComponent }))),
  );
};

const Response = (Original, system) => {
  const OneRefusal = Refusal(system);
  return (props) => system.React.createElement(isRefusal(props.response, props.code) ? OneRefusal : Original, props);
};

const Responses = (Original, system) => {
  const { createElement: h, Fragment } = system.React;
  const OneRefusal = Refusal(system);
  return (props) => {
    const shared = sharedParagraphs(system.specSelectors.specJson());
    const isShared = (paragraph) => shared.has(paragraph);
    const pick = (isKept) => props.responses
      .map((response, status) => (isRefusal(response, status) ? keepParagraphs(response, isKept) : response))
      .filter(Boolean);
    const own = pick((paragraph) => !isShared(paragraph));
    const folded = pick(isShared).filter(isRefusal);
    if (own.isEmpty() || folded.isEmpty()) return h(Original, props);
    return h(
      Fragment,
      null,
      h(Original, { ...props, responses: own }),
      h('details', { className: 'shared-refusals' },
        h('summary', null, `Errors common to many operations: ${folded.keySeq().join(', ')}`),
        h('table', { className: 'responses-table' }, h('tbody', null,
          folded.entrySeq().map(([code, response]) => h(OneRefusal, { key: code, code, response }))))),
    );
  };
};

export const responsesPlugin = { wrapComponents: { response: Response, responses: Responses } };
