// Ctrl K: find a listing, a version or an action. The combobox pattern of WAI-ARIA: focus stays in the field.
const sheet = document.getElementById("palette");
const WAIT_MS = 120;

const option = (item, index) => {
  const li = document.createElement("li");
  li.id = `palette-${index}`;
  li.setAttribute("role", "option");
  const link = document.createElement("a");
  link.href = item.url;
  link.tabIndex = -1;
  const icon = document.createElement("i");
  icon.className = `ti ti-${item.icon}`;
  icon.setAttribute("aria-hidden", "true");
  const label = document.createElement("span");
  label.textContent = item.label;
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = item.hint;
  link.append(icon, label, hint);
  li.append(link);
  return li;
};

const start = () => {
  const input = sheet.querySelector("input");
  const list = sheet.querySelector("[role=listbox]");
  const empty = sheet.querySelector(".palette-empty");
  let chosen = 0;
  let timer = 0;
  let asked = null;

  const mark = (index) => {
    const items = [...list.children];
    if (!items.length) { input.removeAttribute("aria-activedescendant"); return; }
    chosen = (index + items.length) % items.length;
    items.forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    input.setAttribute("aria-activedescendant", items[chosen].id);
    items[chosen].scrollIntoView({ block: "nearest" });
  };

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const address = `${sheet.dataset.url}?q=${encodeURIComponent(input.value.trim())}`;
    try {
      const answer = await fetch(address, { signal: asked.signal, headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const items = (await answer.json()).hits;
      list.replaceChildren(...items.map(option));
      empty.hidden = items.length > 0;
      empty.textContent = "Nothing by that name. Listings, versions such as 1.4.0, and actions can be found here.";
      mark(0);
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren();
      empty.hidden = false;
      empty.textContent = "The search did not answer. Try again.";
    }
  };

  const open = () => {
    if (sheet.open) return;
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    input.value = "";
    sheet.showModal();
    input.focus();
    ask();
  };

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(chosen + (event.key === "ArrowDown" ? 1 : -1));
    }
    if (event.key === "Enter") {
      event.preventDefault();
      list.children[chosen]?.querySelector("a").click();
    }
  });
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  for (const opener of document.querySelectorAll("[data-open-palette]")) {
    opener.addEventListener("click", (event) => { event.preventDefault(); open(); });
  }
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
};

if (sheet) start();
