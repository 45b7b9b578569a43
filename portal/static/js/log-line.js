// One record of a log, [number, time, kind, text, missing?], as an element. Text only ever becomes text nodes:
// nothing a container prints is parsed as markup.
import { AnsiUp } from "../vendor/ansi_up.js";

export const NUMBER = 0;
export const TIME = 1;
export const KIND = 2;
export const TEXT = 3;
export const MISSING = 4;

const COLOURS = /\x1b\[[0-9;]*m/g;
const BAD = /\b(error|exception|traceback|fatal|panic|critical)\b|(?:Error|Exception):/i;
const POOR = /\bwarn(ing)?\b/i;

/** ansi_up's parser, giving runs of text with their look instead of markup. */
class Runs extends AnsiUp {
  read(text) {
    this._buffer = "";
    this.fg = this.bg = null;
    this.bold = this.faint = this.italic = this.underline = false;
    this.runs = [];
    this.ansi_to_html(text);
    return this.runs;
  }

  transform_to_html(run) {
    if (run.text) this.runs.push(run);
    return "";
  }

  process_hyperlink(packet) {
    return this.transform_to_html(this.with_state(packet));
  }
}

const runs = new Runs();

const colour = (element, property, suffix, value) => {
  if (!value) return;
  if (value.class_name === "truecolor") element.style[property] = `rgb(${value.rgb.join(",")})`;
  else element.classList.add(`${value.class_name}-${suffix}`);
};

const coloured = (run) => {
  const element = document.createElement("span");
  element.textContent = run.text;
  for (const look of ["bold", "faint", "italic", "underline"]) if (run[look]) element.classList.add(`ansi-${look}`);
  colour(element, "color", "fg", run.fg);
  colour(element, "backgroundColor", "bg", run.bg);
  return element;
};

export const plain = (text) => (text.includes("\x1b") ? text.replace(COLOURS, "") : text);

const body = (record) => {
  const element = document.createElement("span");
  const text = record[TEXT];
  if (text.includes("\x1b")) {
    for (const run of runs.read(text)) {
      const bare = !run.fg && !run.bg && !run.bold && !run.faint && !run.italic && !run.underline;
      element.append(bare ? run.text : coloured(run));
    }
    return element;
  }
  element.textContent = text;
  if (record[KIND] === "slipway") element.className = "ours";
  if (BAD.test(text)) element.className = "err";
  else if (POOR.test(text)) element.className = "warn";
  return element;
};

const lines = (count) => `${count.toLocaleString("en")} ${count === 1 ? "line" : "lines"}`;

const missing = (record) => {
  const element = document.createElement("span");
  element.className = "log-missing";
  element.textContent = record[KIND] === "gap"
    ? `${lines(record[MISSING])} went by too fast to show live. They are here when this step ends.`
    : `${lines(record[MISSING])} dropped: the first 2 MB and the last 8 MB of a log are kept.`;
  return element;
};

const section = (record, folded, inside) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "fold";
  button.dataset.fold = record[NUMBER];
  button.setAttribute("aria-expanded", String(!folded));
  button.textContent = plain(record[TEXT]);
  if (folded) {
    const count = document.createElement("span");
    count.className = "log-count";
    count.textContent = ` · ${lines(inside)}`;
    button.append(count);
  }
  return button;
};

/** A list item with its number as a link. `anchor` is "test-1"; `inside` the lines in a folded section. */
export const row = (record, anchor, { folded = false, inside = 0 } = {}) => {
  const item = document.createElement("li");
  const number = document.createElement("a");
  const kind = record[KIND];
  if (kind === "gap" || kind === "dropped") {
    item.className = "is-missing";
    item.append(number, missing(record));
    return item;
  }
  item.id = `${anchor}-L${record[NUMBER]}`;
  item.dataset.number = record[NUMBER];
  number.href = `#${item.id}`;
  number.textContent = record[NUMBER];
  number.tabIndex = -1;
  item.append(number, kind === "section" ? section(record, folded, inside) : body(record));
  return item;
};

/** Wrap what `pattern` (global) finds in the row's text in <mark>, across colours only as far as one run goes. */
export const mark = (item, pattern) => {
  for (const old of item.querySelectorAll("mark")) old.replaceWith(old.textContent);
  const content = item.lastElementChild;
  if (!pattern || !content) return;
  content.normalize();
  const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const found = [...text.data.matchAll(pattern)].reverse();
    for (const { index, 0: words } of found) {
      if (!words) continue;
      const rest = text.splitText(index);
      rest.splitText(words.length);
      const element = document.createElement("mark");
      rest.replaceWith(element);
      element.append(words);
    }
  }
};
