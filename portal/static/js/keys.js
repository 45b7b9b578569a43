// Single keys: ? lists them, g h and g l go places, and [data-key] on a page's own control presses it.
const typing = (element) => element.closest?.("input, textarea, select, [contenteditable]") !== null;
const sheet = document.getElementById("keys-sheet");
let leader = false;
let timer = 0;

const go = (key) => document.querySelector(`[data-go="${key}"]`)?.getAttribute("href");

const describe = () => {
  const list = sheet.querySelector("[data-page-keys]");
  list.replaceChildren();
  for (const control of document.querySelectorAll("[data-key]")) {
    const term = document.createElement("dt");
    const key = document.createElement("kbd");
    key.textContent = control.dataset.key;
    term.append(key);
    const text = document.createElement("dd");
    text.textContent = control.dataset.keyLabel || control.textContent.trim();
    list.append(term, text);
  }
};

const show = () => {
  if (!sheet || document.querySelector("dialog[open]")) return;
  describe();
  sheet.showModal();
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (leader) {
    leader = false;
    clearTimeout(timer);
    const address = go(event.key);
    if (address) {
      event.preventDefault();
      window.location.assign(address);
    }
    return;
  }
  if (event.key === "g") {
    leader = true;
    timer = setTimeout(() => { leader = false; }, 1200);
    return;
  }
  if (event.key === "?") {
    event.preventDefault();
    show();
    return;
  }
  const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (control && !control.disabled) {
    event.preventDefault();
    control.focus();
    control.click();
  }
});

for (const opener of document.querySelectorAll("[data-open-keys]")) opener.addEventListener("click", show);
sheet?.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
