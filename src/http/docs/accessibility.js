// Sets the roles and names that Swagger UI's own elements lack, as reported by axe-core for Swagger UI 5.35.0. Its
// components have no properties for them.

const MENDS = [
  ['.information-container', { role: 'region', 'aria-label': 'About this API' }],
  ['.scheme-container', { role: 'region', 'aria-label': 'Authorization' }],
  ['.opblock-tag, .models > h4', { 'aria-level': '2' }], // the chapters of the page
  ['.opblock h4', { 'aria-level': '3' }],
  ['.opblock h5', { 'aria-level': '4' }],
  ['.opblock-summary-control a', { href: null }], // a link inside a button with the same action
  ['.copy-to-clipboard', { role: 'group' }], // has a label
  ['pre.curl', { tabindex: '0' }], // scrolls sideways
  ['.highlight-code > pre', { tabindex: '0' }], // scrolls
  ['.responses-table[role="region"]', { role: null }], // one for each operation, all with the same name
  ['.body-param__text', { 'aria-label': 'Request body' }],
  ['.parameters select', { 'aria-label': (select) => select.closest('[data-param-name]')?.dataset.paramName ?? 'Value' }],
  ['.auth-container h4', { 'aria-level': '3' }], // below the title of the dialog
  ['.auth-btn-wrapper [aria-label]', { 'aria-label': null }], // differs from what the button says
];

const mend = (root) => {
  for (const [selector, attributes] of MENDS)
    for (const element of root.querySelectorAll(selector))
      for (const [name, value] of Object.entries(attributes))
        if (value === null) element.removeAttribute(name);
        else if (!element.hasAttribute(name))
          element.setAttribute(name, typeof value === 'function' ? value(element) : value);
};

/** Fixes the elements that exist now and those that are added later. */
export function mendAccessibility(root) {
  new MutationObserver(() => mend(root)).observe(root, { childList: true, subtree: true });
}
