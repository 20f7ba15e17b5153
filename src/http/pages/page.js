// Optional improvements of the pages: every form works without this script.

// Shows passwords on request. They are hidden again before they are sent, so that the browser does not store them as
// typed text.
for (const input of document.querySelectorAll('.password input')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'show';
  const show = (shown) => {
    input.type = shown ? 'text' : 'password';
    button.textContent = shown ? 'Hide' : 'Show';
    button.setAttribute('aria-label', `${button.textContent} ${input.labels[0].textContent.toLowerCase()}`);
  };
  show(false);
  button.addEventListener('click', () => show(input.type === 'password'));
  input.form.addEventListener('submit', () => show(false));
  input.after(button);
}

// Shows the length of the new password.
for (const input of document.querySelectorAll('input[data-fewest]')) {
  const hint = document.getElementById(input.getAttribute('aria-describedby'));
  const [fewest, before] = [Number(input.dataset.fewest), hint.textContent];
  input.addEventListener('input', () => {
    const length = [...input.value].length;
    hint.classList.toggle('enough', length >= fewest);
    if (length === 0) hint.textContent = before;
    else if (length < fewest) hint.textContent = `${length} of at least ${fewest} characters`;
    else hint.textContent = `${length} characters: long enough`;
  });
}

// Selects a token on request and copies it. Browsers let pages copy on https and on loopback only.
for (const token of document.querySelectorAll('textarea[readonly]')) {
  token.addEventListener('focus', () => token.select());
  if (navigator.clipboard === undefined) continue;
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'quiet';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(token.value);
    button.textContent = 'Copied';
  });
  token.after(button);
}

// Shows the exact time behind each age in the reader's time zone instead of in UTC.
const exact = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeStyle: 'short' });
for (const element of document.querySelectorAll('time')) element.title = exact.format(new Date(element.dateTime));

// A refused form is the response to a POST. Its entry in the history is replaced by the URL of its page; otherwise the
// browser would show an error page on going back, and ask at each reload whether to send the form again.
const { address } = document.body.dataset;
if (address !== undefined) history.replaceState(history.state, '', address || location.href);

// Sends a form only once, however often its button is pressed; coming back to the page enables it again.
for (const form of document.forms) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = 'yes';
    event.submitter?.setAttribute('aria-busy', 'true');
  });
}
addEventListener('pageshow', () => {
  for (const form of document.forms) delete form.dataset.sent;
  for (const button of document.querySelectorAll('[aria-busy]')) button.removeAttribute('aria-busy');
});
