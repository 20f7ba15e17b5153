// Roles and names that Swagger UI's own elements lack, set once they are there: what axe-core finds in
// Swagger UI 5.35.0. Its components cannot be told these by their properties.

const MENDS = [
  ['.information-container', { role: 'region', 'aria-label': 'About this API' }],
  ['.scheme-container', { role: 'region', 'aria-label': 'Authorization' }],
  ['.opblock-tag, .models > h4', { 'aria-level': '2' }], // the chapters of the page
  ['.opblock h4', { 'aria-level': '3' }],
  ['.opblock h5', { 'aria-level': '4' }],
  ['.opblock-summary-control a', { href: null }], // a link inside a button, which does the same
  ['.copy-to-clipboard', { role: 'group' }], // has a label
  ['pre.curl', { tabindex: '0' }], // scrolls sideways
  ['.highlight-code > pre', { tabindex: '0' }], // scrolls
  ['.responses-table[role="region"]', { role: null }], // one for each operation, all of one name
  ['.body-param__text', { 'aria-label': 'Request body' }],
];

const mend = (root) => {
  for (const [selector, attributes] of MENDS)
    for (const element of root.querySelectorAll(selector))
      for (const [name, value] of Object.entries(attributes))
        if (value === null) element.removeAttribute(name);
        else if (!element.hasAttribute(name)) element.setAttribute(name, value);
};

/** Mends what is there now, and what comes later. */
export function mendAccessibility(root) {
  new MutationObserver(() => mend(root)).observe(root, { childList: true, subtree: true });
}
