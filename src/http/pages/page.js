// What the pages gain by a script. Nothing here is needed: without it every form works as it stands.

// Passwords can be looked at. They are hidden again before they are sent, so that no browser keeps
// them among what was typed into texts.
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

// How long a new password is by now.
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

// The exact time behind each age is shown in the time zone of the reader, instead of in UTC.
const exact = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeStyle: 'short' });
for (const element of document.querySelectorAll('time')) element.title = exact.format(new Date(element.dateTime));

// A refused form is the answer to a POST. Its place in the history becomes that of the page that it is on,
// or the browser would show an error page to who comes back to it, and ask at each reload whether to send
// the form again.
const { address } = document.body.dataset;
if (address !== undefined) history.replaceState(history.state, '', address || location.href);

// A form is sent once, however often its button is pressed; coming back to the page makes it new.
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
