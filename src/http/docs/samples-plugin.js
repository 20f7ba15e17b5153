// Shows the code samples of an operation (`x-codeSamples`) above its responses, folded.

const Samples = ({ React: { createElement: h } }, samples) =>
  h('details', { className: 'code-samples' },
    h('summary', null, `Code samples: ${samples.map((sample) => sample.get('label').split(',')[0]).join(', ')}`),
    samples.map((sample) =>
      h('figure', { key: sample.get('label') },
        h('figcaption', null, sample.get('label')),
        h('pre', { tabIndex: 0 }, h('code', null, sample.get('source'))))));

const Responses = (Original, system) => (props) => {
  const { createElement: h, Fragment } = system.React;
  const samples = system.specSelectors.specJson().getIn(['paths', props.path, props.method, 'x-codeSamples']);
  return h(Fragment, null, samples && Samples(system, samples), h(Original, props));
};

export const samplesPlugin = { wrapComponents: { responses: Responses } };
