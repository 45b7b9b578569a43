// [data-copy] copies its value; [data-copy-from] copies the text of the element with that id.
const legacy = (text) => {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
};

const write = async (text) => {
  // The clipboard API is absent where the page is served over plain http from another host.
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* refused by the browser: try the old way */ }
  }
  return legacy(text);
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy], [data-copy-from]");
  if (!button) return;
  const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom)?.textContent ?? "";
  const copied = await write(text);
  const icon = button.querySelector("i.ti");
  const before = icon?.className;
  if (icon) icon.className = `ti ${copied ? "ti-check" : "ti-x"}`;
  button.classList.toggle("is-done", copied);
  const live = document.getElementById("announcer");
  if (live) live.textContent = copied ? "Copied" : "Your browser did not allow the copy";
  setTimeout(() => {
    if (icon) icon.className = before;
    button.classList.remove("is-done");
  }, 1600);
});
