// A form or button with data-confirm asks first, in words that name the thing. data-confirm-type="name" has it typed.
// While it asks, nothing that holds the form is swapped: a form that has left the page cannot be sent. If something was
// to be, "slipway:answered" is told on the document afterwards.
let asking = null;
let missed = false;

const build = (asker) => {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet";
  dialog.setAttribute("aria-labelledby", "confirm-title");
  const body = document.createElement("form");
  body.method = "dialog";
  body.className = "sheet-body";
  const title = document.createElement("h2");
  title.id = "confirm-title";
  title.textContent = asker.dataset.confirm;
  body.append(title);
  if (asker.dataset.confirmDetail) {
    const detail = document.createElement("p");
    detail.textContent = asker.dataset.confirmDetail;
    body.append(detail);
  }
  const go = document.createElement("button");
  go.value = "go";
  go.className = `btn ${asker.dataset.confirmDanger !== undefined ? "btn-danger" : "btn-primary"}`;
  go.textContent = asker.dataset.confirmVerb || "Go on";
  const name = asker.dataset.confirmType;
  if (name) {
    const label = document.createElement("label");
    label.className = "form-label";
    label.textContent = `Type ${name} to go on`;
    const input = document.createElement("input");
    input.className = "form-control mt-2 mb-3";
    input.autocomplete = "off";
    input.addEventListener("input", () => { go.disabled = input.value.trim() !== name; });
    go.disabled = true;
    label.append(input);
    body.append(label);
  }
  const keep = document.createElement("button");
  keep.value = "";
  keep.className = "btn";
  keep.formNoValidate = true;
  keep.textContent = "Cancel";
  const row = document.createElement("div");
  row.className = "d-flex gap-2 justify-content-end mt-3";
  row.append(keep, go);
  body.append(row);
  dialog.append(body);
  document.body.append(dialog);
  return dialog;
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  const asker = event.submitter?.dataset.confirm ? event.submitter : form.dataset?.confirm ? form : null;
  if (!asker || form.dataset.confirmed === "yes") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const dialog = build(asker);
  const submitter = event.submitter;
  asking = form;
  dialog.addEventListener("close", () => {
    const answer = dialog.returnValue;
    dialog.remove();
    asking = null;
    if (missed) document.dispatchEvent(new CustomEvent("slipway:answered"));
    missed = false;
    if (answer !== "go") {
      submitter?.focus();
      return;
    }
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
    delete form.dataset.confirmed;
  });
  dialog.showModal();
}, true);

document.addEventListener("htmx:beforeSwap", (event) => {
  if (!asking || !event.detail.target.contains(asking)) return;
  event.detail.shouldSwap = false;
  missed = true;
});
