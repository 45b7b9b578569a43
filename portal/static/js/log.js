// The log viewer: <section data-log> with one [data-log-attempt] per attempt. Lines come from the page's live
// stream (slipway:log, see live.js) or from storage; this module holds the bar above them and what spans attempts.
import { Group } from "./log-group.js";

const NIL = "00000000-0000-0000-0000-000000000000";
const ANCHOR = /^#?(?:([a-z_]+)-(\d+)-)?L(\d+)$/;
const AT_END = 24;
const OPEN_STATES = new Set(["queued", "running", "cancelling"]);
const BROKEN_STATES = new Set(["failed", "errored", "timed_out", "lost"]);

const escaped = (words) => words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const titled = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const later = (milliseconds, action) => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
};

const button = (label, icon, key) => {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "log-button";
  element.dataset.key = key;
  element.dataset.keyLabel = label;
  element.setAttribute("aria-label", label);
  element.title = `${label} (${key})`;
  const glyph = document.createElement("i");
  glyph.className = `ti ti-${icon}`;
  glyph.setAttribute("aria-hidden", "true");
  element.append(glyph);
  return element;
};

class Viewer {
  constructor(section) {
    this.section = section;
    this.groups = new Map();
    this.pattern = null;
    this.hits = [];
    this.current = -1;
    this.wanted = 0;
    this.searching = false;
    this.isLive = Boolean(document.querySelector("[data-live-url]"));
    const given = [...section.querySelectorAll("[data-log-attempt]")].map((element) => this.described(element.dataset));
    this.following = this.isLive;
    this.build();
    for (const info of given) this.addGroup(info);
    this.listen();
    this.start();
  }

  described(data) {
    const number = Number(data.number || 1);
    return {
      attempt: data.logAttempt, step: data.step, number,
      label: data.label || `${titled(data.step)} · attempt ${number}`,
      state: data.state || "running", final: !OPEN_STATES.has(data.state || "running"),
      linesUrl: data.linesUrl || this.address("linesUrl", data.logAttempt),
      rawUrl: data.rawUrl || this.address("rawUrl", data.logAttempt),
      downloadUrl: data.downloadUrl || this.address("downloadUrl", data.logAttempt),
    };
  }

  address(name, attempt) { return (this.section.dataset[name] || "").replace(NIL, attempt); }

  build() {
    const bar = document.createElement("div");
    bar.className = "log-bar";
    if (this.isLive) {
      this.status = document.createElement("span");
      this.status.className = "live";
      this.status.setAttribute("role", "status");
      this.status.dataset.liveStatus = document.documentElement.dataset.live || "connecting";
      this.status.textContent = document.documentElement.dataset.liveText || "Connecting";
      bar.append(this.status);
    }
    this.input = document.createElement("input");
    this.input.type = "search";
    this.input.placeholder = "Search the log";
    this.input.setAttribute("aria-label", "Search the log");
    this.input.dataset.key = "/";
    this.input.dataset.keyLabel = "Search the log";
    this.count = document.createElement("span");
    this.count.className = "log-hits";
    this.count.setAttribute("role", "status");
    this.previous = button("Previous match", "chevron-up", "p");
    this.next = button("Next match", "chevron-down", "n");
    this.follow = button("Follow the log", "arrow-bar-to-down", "f");
    this.follow.append(" Follow");
    this.follow.removeAttribute("aria-label");
    this.wrap = button("Wrap long lines", "text-wrap", "w");
    this.wrap.setAttribute("aria-pressed", "true");
    bar.append(this.input, this.count, this.previous, this.next, this.wrap, this.follow);
    this.body = document.createElement("div");
    this.body.className = "log-body";
    this.body.tabIndex = 0;
    this.body.setAttribute("role", "region");
    this.body.setAttribute("aria-label", "Log lines");
    this.section.replaceChildren(bar, this.body);
    this.section.classList.add("is-ready");
    this.setFollowing(this.following);
    this.showHits();
  }

  addGroup(info) {
    const group = new Group(info, { onGrow: (grown, added) => this.grew(grown, added), pattern: () => this.pattern });
    group.following = this.following;
    this.groups.set(info.attempt, group);
    this.body.append(group.element);
    return group;
  }

  listen() {
    document.addEventListener("slipway:log", (event) => this.received(event.detail));
    document.addEventListener("slipway:state", (event) => this.changed(event.detail));
    document.addEventListener("slipway:resync", () => this.fill());
    this.fill = later(1500, () => this.fillGaps());
    window.addEventListener("hashchange", () => this.visit());
    const search = later(150, () => this.search());
    this.input.addEventListener("input", search);
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.step(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape" && this.input.value) {
        this.input.value = "";
        this.search();
      }
    });
    this.previous.addEventListener("click", () => this.step(-1));
    this.next.addEventListener("click", () => this.step(1));
    this.follow.addEventListener("click", () => this.setFollowing(!this.following));
    this.wrap.addEventListener("click", () => {
      const on = !this.section.classList.toggle("is-unwrapped");
      this.wrap.setAttribute("aria-pressed", String(on));
    });
    this.body.addEventListener("log:grown", () => this.stick());
    // Only what the reader does stops following, never the growth itself.
    this.body.addEventListener("wheel", (event) => { if (event.deltaY < 0) this.setFollowing(false); }, { passive: true });
    this.body.addEventListener("touchmove", () => { if (!this.atEnd) this.setFollowing(false); }, { passive: true });
    this.body.addEventListener("pointerdown", () => { if (!this.atEnd) this.setFollowing(false); });
    this.body.addEventListener("keydown", (event) => {
      if (["ArrowUp", "PageUp", "Home"].includes(event.key)) this.setFollowing(false);
      if (event.key === "End") this.setFollowing(this.isLive);
    });
  }

  async start() {
    if (await this.visit()) return;
    const groups = [...this.groups.values()];
    const running = groups.filter((group) => !group.info.final);
    const broken = groups.filter((group) => BROKEN_STATES.has(group.info.state)).at(-1);
    const first = running.length ? running : [broken || groups.at(-1)].filter(Boolean);
    await Promise.all(first.map((group) => group.open()));
    if (!running.length && broken) this.body.scrollTop = this.body.scrollHeight;
  }

  get atEnd() { return this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < AT_END; }

  setFollowing(on) {
    this.following = on;
    this.follow.setAttribute("aria-pressed", String(on));
    this.follow.hidden = !this.isLive;
    for (const group of this.groups.values()) {
      group.following = on;
      if (on && group.isOpen && group.to < group.shown.length) group.rebuild(group.shown.length);
    }
    if (on) this.stick();
  }

  stick() {
    if (this.following) this.body.scrollTop = this.body.scrollHeight;
  }

  received({ attempt, step, number, lines }) {
    let group = this.groups.get(attempt);
    if (!group) {
      group = this.addGroup(this.described({ logAttempt: attempt, step, number, state: "running" }));
      group.open();
    }
    // A finished attempt shows what is stored; the stream may hold only its end.
    if (!group.info.final) group.add(lines);
  }

  changed({ kind, step, state }) {
    if (kind !== "step") return;
    const group = [...this.groups.values()].filter((one) => one.info.step === step).at(-1);
    if (!group || group.info.final) return;
    group.setState(state);
    if (state === "running" && !group.isOpen) group.open();
    if (!OPEN_STATES.has(state)) this.fill();
  }

  /** Once an attempt has ended, its stored log fills what could not be shown live. */
  fillGaps() {
    for (const group of this.groups.values()) {
      const ended = !OPEN_STATES.has(group.info.state);
      if (!group.info.final && ended && (group.hasGaps || !group.records.length)) group.load();
    }
  }

  grew(group, added) {
    if (!this.pattern) return;
    const found = group.search(this.pattern, added || undefined).map((number) => ({ group, number }));
    if (!added) this.hits = this.hits.filter((hit) => hit.group !== group);
    if (!found.length && added) return;
    const at = this.hits[this.current];
    const order = [...this.groups.values()];
    this.hits = this.hits.concat(found).sort((a, b) => order.indexOf(a.group) - order.indexOf(b.group) || a.number - b.number);
    this.current = at ? this.hits.findIndex((hit) => hit.group === at.group && hit.number === at.number) : -1;
    this.showHits();
  }

  async search() {
    const words = this.input.value.trim();
    this.pattern = words ? new RegExp(escaped(words), "gi") : null;
    this.hits = [];
    this.current = -1;
    this.searching = false;
    this.wanted = 0;
    if (this.pattern) {
      const pattern = this.pattern;
      this.searching = true;
      this.count.textContent = "Searching …";
      await Promise.all([...this.groups.values()].map((group) => (group.info.final ? group.load() : null)));
      if (this.pattern !== pattern) return;
      this.searching = false;
      this.hits = [...this.groups.values()].flatMap((group) => group.search(pattern).map((number) => ({ group, number })));
    }
    for (const group of this.groups.values()) if (group.isOpen) group.repaint();
    this.showHits();
    // Enter was pressed before the answer was there.
    if (this.wanted) this.step(this.wanted);
  }

  showHits() {
    const total = this.hits.length;
    this.previous.disabled = this.next.disabled = total === 0;
    if (!this.pattern) this.count.textContent = "";
    else if (!total) this.count.textContent = "No match";
    else this.count.textContent = `${this.current < 0 ? "" : `${this.current + 1} of `}${total.toLocaleString("en")}`;
  }

  async step(by) {
    this.wanted = this.searching ? by : 0;
    const total = this.hits.length;
    if (!total || this.wanted) return;
    this.current = this.current < 0 ? (by > 0 ? 0 : total - 1) : (this.current + by + total) % total;
    this.showHits();
    const { group, number } = this.hits[this.current];
    this.setFollowing(false);
    this.point(await group.reveal(number), "is-current");
  }

  /** Go to the line that the address names. */
  async visit() {
    const found = ANCHOR.exec(window.location.hash);
    if (!found) return false;
    const groups = [...this.groups.values()];
    const [, step, number, line] = found;
    const group = step
      ? groups.find((one) => one.anchor === `${step}-${number}`)
      : groups.find((one) => one.isOpen) || groups.at(-1);
    if (!group) return false;
    this.setFollowing(false);
    const item = await group.reveal(Number(line));
    this.point(item, "is-target");
    if (item) this.section.scrollIntoView({ block: "nearest" });
    return true;
  }

  point(item, look) {
    for (const old of this.body.querySelectorAll(`.${look}`)) old.classList.remove(look);
    if (!item) return;
    item.classList.add(look);
    const centre = () => {
      const place = item.getBoundingClientRect();
      const frame = this.body.getBoundingClientRect();
      this.body.scrollTop += place.top - frame.top - (frame.height - place.height) / 2;
    };
    centre();
    // Rows out of sight have a guessed height until they are drawn.
    requestAnimationFrame(() => { centre(); requestAnimationFrame(centre); });
  }
}

for (const section of document.querySelectorAll("[data-log]")) new Viewer(section);
