// [data-spec-form]: rows that come and go, lists as chips, and problems that lead to their inputs.
// Without script the form has empty rows to spare, a box to remove each, and a button that sends it for more.
const icon = (name) => {
  const mark = document.createElement("i");
  mark.className = `ti ti-${name}`;
  mark.setAttribute("aria-hidden", "true");
  return mark;
};

const button = (css, label, ...content) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = css;
  if (label) made.setAttribute("aria-label", label);
  made.append(...content);
  return made;
};

// -- chips: a textarea stays the value, chips and one line with suggestions stand for it --
const BETWEEN = { types: /\n|,(?=\s*[\w!#$&^.+-]+\/)/, words: /[\s,;]+/ };

const chips = (area) => {
  const between = area.dataset.chips === "offer-media" ? BETWEEN.types : BETWEEN.words;
  const split = (text) => text.split(between).map((each) => each.trim()).filter(Boolean);
  const box = document.createElement("div");
  box.className = `chips form-control${area.classList.contains("is-invalid") ? " is-invalid" : ""}`;
  const line = document.createElement("input");
  line.setAttribute("list", area.dataset.chips);
  line.autocomplete = "off";
  line.spellcheck = false;
  line.id = area.id;
  for (const name of ["aria-describedby", "aria-invalid"]) {
    if (area.hasAttribute(name)) line.setAttribute(name, area.getAttribute(name));
  }
  let values = split(area.value);

  const draw = () => {
    area.value = values.join("\n");
    for (const old of box.querySelectorAll(".chip")) old.remove();
    for (const value of values) {
      const chip = document.createElement("span");
      chip.className = "chip";
      const away = button("", `Remove ${value}`, icon("x"));
      away.addEventListener("click", () => {
        values = values.filter((each) => each !== value);
        draw();
        line.focus();
      });
      chip.append(value, away);
      line.before(chip);
    }
    line.placeholder = values.length ? "" : "Type to search";
  };
  const take = () => {
    const typed = split(line.value);
    line.value = "";
    if (!typed.length) return;
    values = [...new Set([...values, ...typed])];
    draw();
  };

  line.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || (event.key === "," && line.value)) { event.preventDefault(); take(); }
    if (event.key === "Backspace" && !line.value && values.length) { values.pop(); draw(); }
  });
  line.addEventListener("input", (event) => {
    // Chosen from the list: no key was typed.
    if (!event.inputType || event.inputType === "insertReplacementText") take();
  });
  line.addEventListener("paste", () => setTimeout(() => { if (between.test(line.value)) take(); }));
  line.addEventListener("change", take);
  area.form?.addEventListener("submit", take);
  box.addEventListener("click", (event) => { if (event.target === box) line.focus(); });
  area.removeAttribute("id");
  area.hidden = true;
  box.append(line);
  area.after(box);
  draw();
};

// -- rows --
const texts = (row) => [...row.querySelectorAll("input[name]:not([type=checkbox]):not([type=hidden]), textarea[name]")];
const isBlank = (row) => texts(row).every((input) => input.value === input.dataset.blank);

const followType = (row) => {
  const type = row.querySelector("select[name$='-Type']");
  const cells = [...row.querySelectorAll("[data-only-for]")];
  if (!type || !cells.length) return;
  const show = () => {
    for (const cell of cells) {
      const wanted = cell.dataset.onlyFor.split(" ").includes(type.value);
      // What was typed is never hidden: it would be sent all the same.
      cell.hidden = !wanted && !cell.querySelector("input, textarea").value && !cell.querySelector(".is-invalid");
    }
  };
  type.addEventListener("change", show);
  show();
};

const removable = (row, add) => {
  const box = row.querySelector("[data-remove-check]");
  const check = box.querySelector("input");
  const remove = row.querySelector("[data-remove]");
  const note = document.createElement("p");
  note.className = "spec-removed";
  note.hidden = true;
  const undo = button("link-button", "", "Undo");
  const draw = () => {
    row.classList.toggle("is-removed", check.checked);
    note.hidden = !check.checked;
    note.replaceChildren(`Removed${texts(row)[0]?.value ? ` ${texts(row)[0].value}` : ""}. `, undo);
  };
  box.hidden = true;
  remove.hidden = false;
  row.append(note);
  remove.addEventListener("click", () => {
    if (isBlank(row)) { row.remove(); add.focus(); return; }
    check.checked = true;
    draw();
    undo.focus();
  });
  undo.addEventListener("click", () => { check.checked = false; draw(); remove.focus(); });
  draw();
};

const equip = (row, add) => {
  for (const area of row.querySelectorAll("textarea[data-chips]")) chips(area);
  followType(row);
  removable(row, add);
};

const rows = (part) => {
  const list = part.querySelector("[data-list]");
  const add = part.querySelector("[data-add]");
  const template = part.querySelector("template");
  const total = part.querySelector("input[name$='-TOTAL_FORMS']");
  const blanks = texts(template.content).map((input) => input.value);
  const know = (row) => texts(row).forEach((input, index) => { input.dataset.blank = blanks[index]; });

  for (const row of [...list.children]) {
    know(row);
    if (isBlank(row) && !row.querySelector(".is-invalid")) row.remove();
    else equip(row, add);
  }
  add.addEventListener("click", (event) => {
    event.preventDefault();
    const made = document.createElement("div");
    made.append(template.content.cloneNode(true));
    for (const element of made.querySelectorAll("*")) {
      for (const attribute of element.attributes) {
        if (attribute.value.includes("__prefix__")) attribute.value = attribute.value.replaceAll("__prefix__", total.value);
      }
    }
    const row = made.firstElementChild;
    total.value = Number(total.value) + 1;
    know(row);
    list.append(row);
    equip(row, add);
    row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  });
};

// -- problems lead to their inputs, also in folded sections --
const reveal = (id) => {
  const target = document.getElementById(id);
  if (!target) return false;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView({ block: "center" });
  target.focus({ preventScroll: true });
  return true;
};

const start = (form) => {
  for (const part of form.querySelectorAll("[data-rows]")) rows(part);
  for (const area of form.querySelectorAll("textarea[data-chips]:not([hidden])")) chips(area);
  form.addEventListener("click", (event) => {
    const link = event.target.closest("[data-problems] a");
    if (link && reveal(decodeURIComponent(link.hash.slice(1)))) event.preventDefault();
  });
  form.addEventListener("keydown", (event) => {
    // Enter in a row would send the whole form: it is too long for that.
    if (event.key === "Enter" && event.target.matches(".spec-here input")) event.preventDefault();
  });
  form.querySelector("[data-problems], .form-error")?.scrollIntoView({ block: "center" });
};

for (const form of document.querySelectorAll("[data-spec-form]")) start(form);
