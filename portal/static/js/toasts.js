// Messages can be dismissed; good news leaves by itself, bad news stays until it is read.
const STAYS_MS = 8000;

for (const note of document.querySelectorAll(".toast-note")) {
  note.querySelector("button").addEventListener("click", () => note.remove());
  if (note.dataset.level === "success" || note.dataset.level === "info") {
    let timer = setTimeout(() => note.remove(), STAYS_MS);
    note.addEventListener("pointerenter", () => clearTimeout(timer));
    note.addEventListener("pointerleave", () => { timer = setTimeout(() => note.remove(), STAYS_MS); });
  }
}
