// The log of one attempt: its records in memory, and a window of them in the page. Rows are added a few
// hundred per frame and at most ROWS stay, so that a log of any length scrolls and searches without a pause.
import { KIND, MISSING, NUMBER, TEXT, TIME, mark, plain, row } from "./log-line.js";

const ROWS = 4000;
const CHUNK = 100;
const PER_FRAME = 300;
const MORE = 1500;

const STATES = {
  queued: ["Queued", "is-wait"], running: ["Running", "is-run"], cancelling: ["Cancelling", "is-run"],
  succeeded: ["Succeeded", "is-pass"], failed: ["Failed", "is-fail"], errored: ["Errored", "is-fail"],
  timed_out: ["Timed out", "is-fail"], lost: ["Lost", "is-fail"], cancelled: ["Cancelled", "is-wait"],
};

const make = (tag, className, text = "") => {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
};

const link = (text, address, label) => {
  const element = make("a", "log-link", text);
  element.href = address;
  element.setAttribute("aria-label", label);
  return element;
};

export class Group {
  /** `info`: {attempt, step, number, label, state, final, linesUrl, rawUrl, downloadUrl}. */
  constructor(info, { onGrow, pattern }) {
    this.info = info;
    this.anchor = `${info.step}-${info.number}`;
    this.records = [];
    this.shown = [];
    this.folded = new Set();
    this.inside = new Map();
    this.openSection = 0;
    this.from = this.to = 0;
    this.following = !info.final;
    this.loaded = null;
    this.onGrow = onGrow;
    this.pattern = pattern;
    this.frame = 0;
    this.build();
  }

  build() {
    const { info } = this;
    this.element = make("div", "log-group");
    this.element.id = `${this.anchor}-log`;
    const head = make("div", "log-head");
    this.toggle = make("button", "log-toggle", info.label);
    this.toggle.type = "button";
    this.toggle.setAttribute("aria-expanded", "false");
    this.badge = make("span", "log-state");
    head.append(this.toggle, this.badge);
    if (info.rawUrl) head.append(link("Raw", info.rawUrl, `Raw log of ${info.label}`));
    if (info.downloadUrl) head.append(link("Download", info.downloadUrl, `Download the log of ${info.label}`));
    this.panel = make("div", "log-panel");
    this.panel.hidden = true;
    this.panel.id = `${this.anchor}-lines`;
    this.toggle.setAttribute("aria-controls", this.panel.id);
    this.earlier = make("button", "log-more");
    this.later = make("button", "log-more");
    this.earlier.type = this.later.type = "button";
    this.chunks = make("div", "log-chunks");
    this.note = make("p", "log-note");
    this.panel.append(this.earlier, this.chunks, this.later, this.note);
    this.element.append(head, this.panel);
    this.toggle.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    this.earlier.addEventListener("click", () => this.showEarlier());
    this.later.addEventListener("click", () => this.showLater());
    this.chunks.addEventListener("click", (event) => {
      const button = event.target.closest("[data-fold]");
      if (button) this.fold(Number(button.dataset.fold));
    });
    this.chunks.addEventListener("mouseover", (event) => {
      const item = event.target.closest("li[data-number]");
      if (item && !item.firstElementChild.title) item.firstElementChild.title = this.when(Number(item.dataset.number));
    });
    this.setState(info.state);
    this.bounds();
  }

  get isOpen() { return !this.panel.hidden; }

  setState(state) {
    this.info.state = state;
    const [word, look] = STATES[state] || ["", "is-wait"];
    this.badge.textContent = word;
    this.badge.className = `log-state ${look}`;
  }

  async open() {
    this.panel.hidden = false;
    this.toggle.setAttribute("aria-expanded", "true");
    if (this.info.final) await this.load();
    this.rebuild(this.following ? this.shown.length : 0);
  }

  close() {
    this.panel.hidden = true;
    this.toggle.setAttribute("aria-expanded", "false");
    this.chunks.replaceChildren();
    this.from = this.to = 0;
  }

  /** The stored log, once; a running attempt has none yet. */
  load() {
    this.loaded ??= this.fetchAll().catch(() => {
      this.loaded = null;
      this.say("The stored log could not be loaded. Open the step again to retry.");
    });
    return this.loaded;
  }

  async fetchAll() {
    if (!this.info.linesUrl) return;
    let records = [];
    let from = 1;
    this.say("Loading …");
    while (from) {
      const address = new URL(this.info.linesUrl, window.location.href);
      address.searchParams.set("from", from);
      const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const page = await answer.json();
      if (page.state !== "stored") {
        this.loaded = null;
        this.say(page.state === "none" && this.info.final ? "This attempt wrote no log." : "");
        return;
      }
      records = records.concat(page.lines);
      from = page.next;
    }
    this.info.final = true;
    this.say(records.length ? "" : "This attempt wrote no log.");
    this.records = records;
    this.reshow();
    if (this.isOpen) this.rebuild(this.following ? this.shown.length : this.from);
    this.onGrow(this, null);
  }

  say(text) { this.note.textContent = text; }

  get last() {
    const record = this.records.at(-1);
    return record ? record[NUMBER] + (record[MISSING] || 1) - 1 : 0;
  }

  get hasGaps() { return this.records.some((record) => record[KIND] === "gap"); }

  /** Lines from the live stream, in order; those that are here already are passed over. */
  add(records) {
    const added = [];
    for (const record of records) {
      const end = record[NUMBER] + (record[MISSING] || 1) - 1;
      if (end <= this.last) continue;
      if (record[NUMBER] > this.last + 1) {
        const gap = [this.last + 1, record[TIME], "gap", "", record[NUMBER] - this.last - 1];
        this.records.push(gap);
        added.push(gap);
      }
      this.records.push(record);
      added.push(record);
    }
    if (!added.length) return;
    for (const record of added) {
      this.count(record);
      if (record[KIND] === "section" || !this.folded.has(this.openSection)) this.shown.push(record);
    }
    this.schedule();
    this.onGrow(this, added);
  }

  count(record) {
    if (record[KIND] === "section") this.openSection = record[NUMBER];
    else this.inside.set(this.openSection, (this.inside.get(this.openSection) || 0) + (record[MISSING] || 1));
  }

  reshow() {
    this.shown = [];
    this.openSection = 0;
    this.inside = new Map();
    for (const record of this.records) {
      this.count(record);
      if (record[KIND] === "section" || !this.folded.has(this.openSection)) this.shown.push(record);
    }
  }

  fold(number, on = !this.folded.has(number)) {
    if (on) this.folded.add(number);
    else this.folded.delete(number);
    const place = () => document.getElementById(`${this.anchor}-L${number}`);
    const before = place()?.getBoundingClientRect().top;
    this.reshow();
    this.rebuild(this.indexOf(number));
    const item = place();
    if (!item || before === undefined) return;
    item.closest(".log-body").scrollTop += item.getBoundingClientRect().top - before;
    item.querySelector(".fold")?.focus({ preventScroll: true });
  }

  indexOf(number) {
    let low = 0;
    let high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle][NUMBER] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  when(number) {
    const record = this.shown[this.indexOf(number)];
    if (!record || record[NUMBER] !== number) return "";
    const since = record[TIME] - this.records[0][TIME];
    return `${since.toFixed(1)} s after the first line · ${new Date(record[TIME] * 1000).toLocaleString()}`;
  }

  row(record) {
    const folded = this.folded.has(record[NUMBER]);
    const item = row(record, this.anchor, { folded, inside: this.inside.get(record[NUMBER]) || 0 });
    const pattern = this.pattern();
    if (pattern && plain(record[TEXT]).search(pattern) >= 0) {
      item.classList.add("is-hit");
      mark(item, pattern);
    }
    return item;
  }

  rows(from, to) {
    const fragment = document.createDocumentFragment();
    let list = null;
    for (let index = from; index < to; index += 1) {
      if (!list || list.childElementCount >= CHUNK) {
        list = make("ol", "log-chunk");
        fragment.append(list);
      }
      list.append(this.row(this.shown[index]));
    }
    return fragment;
  }

  /** Show the window around `index` (of the shown records); all of them where they fit. */
  rebuild(index) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const all = this.shown.length <= ROWS;
    this.from = all ? 0 : Math.max(0, Math.min(index, this.shown.length) - MORE);
    this.to = all ? this.shown.length : Math.min(this.shown.length, index + MORE);
    this.chunks.replaceChildren(this.rows(this.from, this.to));
    this.bounds();
    this.element.dispatchEvent(new CustomEvent("log:grown", { bubbles: true }));
  }

  schedule() {
    if (this.isOpen && !this.frame) this.frame = requestAnimationFrame(() => this.grow());
  }

  grow() {
    this.frame = 0;
    const waiting = this.shown.length - this.to;
    if (!this.following && this.to - this.from >= ROWS) return this.bounds();
    // A flood: what would leave the page in the same breath is not drawn at all.
    if (this.following && waiting > ROWS) return this.rebuild(this.shown.length);
    const end = Math.min(this.shown.length, this.to + PER_FRAME);
    const last = this.chunks.lastElementChild;
    while (last && last.childElementCount < CHUNK && this.to < end) {
      last.append(this.row(this.shown[this.to]));
      this.to += 1;
    }
    this.chunks.append(this.rows(this.to, end));
    this.to = end;
    while (this.following && this.to - this.from > ROWS) {
      this.from += this.chunks.firstElementChild.childElementCount;
      this.chunks.firstElementChild.remove();
    }
    this.bounds();
    this.element.dispatchEvent(new CustomEvent("log:grown", { bubbles: true }));
    if (this.to < this.shown.length) this.schedule();
  }

  bounds() {
    this.element.classList.toggle("has-long-numbers", this.last > 99999);
    const before = this.from;
    const after = this.shown.length - this.to;
    this.earlier.hidden = before === 0;
    this.earlier.textContent = `Show earlier lines (${before.toLocaleString("en")})`;
    this.later.hidden = after === 0 || this.frame !== 0;
    this.later.textContent = `Show later lines (${after.toLocaleString("en")})`;
  }

  showEarlier() {
    const first = this.chunks.firstElementChild;
    const to = this.from;
    this.from = Math.max(0, to - MORE);
    this.chunks.prepend(this.rows(this.from, to));
    while (this.to - this.from > ROWS && this.chunks.childElementCount > 1) {
      this.to -= this.chunks.lastElementChild.childElementCount;
      this.chunks.lastElementChild.remove();
    }
    this.bounds();
    first?.scrollIntoView({ block: "start" });
  }

  showLater() {
    const to = Math.min(this.shown.length, this.to + MORE);
    this.chunks.append(this.rows(this.to, to));
    this.to = to;
    while (this.to - this.from > ROWS && this.chunks.childElementCount > 1) {
      this.from += this.chunks.firstElementChild.childElementCount;
      this.chunks.firstElementChild.remove();
    }
    this.bounds();
  }

  /** The row of a line, unfolded, opened and drawn if need be; null if the log has no such line (any more). */
  async reveal(number) {
    if (!this.isOpen) await this.open();
    this.unfoldAround(number);
    const index = this.indexOf(number);
    const record = this.shown[index];
    if (!record || record[NUMBER] !== number) return null;
    if (index < this.from || index >= this.to) {
      this.rebuild(index);
    }
    return document.getElementById(`${this.anchor}-L${number}`);
  }

  unfoldAround(number) {
    let section = 0;
    for (const record of this.records) {
      if (record[NUMBER] > number) break;
      if (record[KIND] === "section" && record[NUMBER] !== number) section = record[NUMBER];
    }
    if (this.folded.has(section)) this.fold(section, false);
  }

  /** Numbers of the lines (of `records`, or all) that `pattern` finds. */
  search(pattern, records = this.records) {
    return records.filter((record) => plain(record[TEXT]).search(pattern) >= 0).map((record) => record[NUMBER]);
  }

  repaint() {
    const pattern = this.pattern();
    for (const item of this.chunks.querySelectorAll("li[data-number]")) {
      const content = item.lastElementChild;
      const hit = Boolean(pattern) && content.textContent.search(pattern) >= 0;
      if (hit || item.classList.contains("is-hit")) {
        item.classList.toggle("is-hit", hit);
        item.classList.remove("is-current");
        mark(item, hit ? pattern : null);
      }
    }
  }
}
