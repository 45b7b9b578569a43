// One EventSource per page, for the first [data-live-url][data-ticket-url]. Log lines and changes of state become
// events on the document; a change refreshes every [data-live-refresh] (an element with an id, hx-get and
// hx-trigger="slipway:refresh") in place. Status texts go to every [data-live-status].
const WORDS = {
  connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", paused: "Catching up soon", ended: "Ended", stopped: "Not live",
};
const BACK_OFF = [500, 1000, 2000, 4000, 8000, 15000];
const HIDDEN_MS = 30000;
const REFRESH_MS = 300;

class Live {
  constructor(root) {
    this.root = root;
    this.source = null;
    this.last = "";
    this.failures = 0;
    this.over = false;
    this.timer = 0;
    this.hiddenTimer = 0;
    this.refreshTimer = 0;
    this.kept = new Map();
    this.pressed = null;
    this.missed = false;
    // Browsers allow few connections per host: a tab that nobody looks at gives its own back.
    document.addEventListener("visibilitychange", () => this.visibility());
    document.addEventListener("htmx:afterRequest", (event) => {
      const { successful, requestConfig } = event.detail;
      if (this.over && successful && requestConfig?.verb !== "get") this.reopen();
    });
    // What was left alone for somebody's sake is asked for again once they are done.
    document.addEventListener("slipway:answered", () => this.refreshSoon());
    document.addEventListener("pointerdown", (event) => { if (event.button === 0) this.pressed = event.target; });
    for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => this.released());
    document.addEventListener("htmx:beforeSwap", (event) => {
      const { target } = event.detail;
      if (target.matches("[data-live-refresh]") && this.isHeld(target)) event.detail.shouldSwap = false;
    });
    document.addEventListener("htmx:afterSettle", (event) => this.restore(event.target));
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => { if (event.persisted && !this.over) this.connect(); });
    this.say("connecting");
    this.connect();
  }

  async connect() {
    this.close();
    try {
      const answer = await fetch(this.root.dataset.ticketUrl, {
        headers: { Accept: "application/json" }, credentials: "same-origin", redirect: "manual",
      });
      if (answer.type === "opaqueredirect" || [401, 403, 404].includes(answer.status)) return this.stop("stopped");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      this.open((await answer.json()).ticket);
    } catch {
      this.retry();
    }
  }

  open(ticket) {
    const address = new URL(this.root.dataset.liveUrl, window.location.href);
    address.searchParams.set("ticket", ticket);
    if (this.last) address.searchParams.set("after", this.last);
    const source = new EventSource(address);
    this.source = source;
    const on = (name, action) => source.addEventListener(name, (event) => {
      if (this.source !== source) return;
      if (event.lastEventId) this.last = event.lastEventId;
      action(event.data ? JSON.parse(event.data) : {});
    });
    on("log", (data) => this.tell("slipway:log", data));
    on("state", (data) => {
      this.tell("slipway:state", data);
      this.refreshSoon();
    });
    on("status", (data) => {
      this.failures = 0;
      this.say(data.live ? "live" : "paused");
    });
    on("resync", (data) => {
      this.tell("slipway:resync", data);
      this.refreshSoon();
    });
    on("renew", () => this.retry(200 + Math.random() * 800));
    on("end", () => this.stop("ended"));
    source.addEventListener("error", () => {
      if (this.source !== source) return;
      this.say("reconnecting");
      this.retry();
    });
  }

  /** The browser would come back with the old ticket; a new one is fetched instead. */
  retry(wait = BACK_OFF[Math.min(this.failures, BACK_OFF.length - 1)] * (0.75 + Math.random() / 2)) {
    this.close();
    this.failures += 1;
    if (this.failures > 2) this.say("reconnecting");
    this.timer = setTimeout(() => this.connect(), wait);
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  stop(status) {
    this.close();
    this.over = true;
    this.say(status);
    this.tell("slipway:live-over", { status });
  }

  reopen() {
    this.over = false;
    this.failures = 0;
    this.say("connecting");
    this.connect();
  }

  visibility() {
    clearTimeout(this.hiddenTimer);
    if (this.over) return;
    if (document.hidden) this.hiddenTimer = setTimeout(() => this.close(), HIDDEN_MS);
    else if (!this.source) this.connect();
  }

  say(status) {
    const page = document.documentElement;
    page.dataset.live = status;
    page.dataset.liveText = WORDS[status];
    for (const element of document.querySelectorAll("[data-live-status]")) {
      element.dataset.liveStatus = status;
      if (element.textContent !== WORDS[status]) element.textContent = WORDS[status];
    }
  }

  tell(name, detail) { document.dispatchEvent(new CustomEvent(name, { detail })); }

  refreshSoon() {
    clearTimeout(this.refreshTimer);
    this.refreshTimer = setTimeout(() => {
      for (const element of document.querySelectorAll("[data-live-refresh]")) this.refresh(element);
    }, REFRESH_MS);
  }

  refresh(element) {
    if (this.isHeld(element)) return;
    const active = document.activeElement;
    if (element.contains(active)) this.kept.set(element.id, this.place(element, active));
    element.dispatchEvent(new CustomEvent("slipway:refresh"));
  }

  /** What is being typed or pressed is never swapped away: that fragment waits until the field or button is left. */
  isHeld(element) {
    if (element.contains(this.pressed)) {
      this.missed = true;
      return true;
    }
    const active = document.activeElement;
    if (!element.contains(active) || !active.matches("input, textarea, select, [contenteditable]")) return false;
    active.addEventListener("blur", () => this.refreshSoon(), { once: true });
    return true;
  }

  /** A click comes right after the pointer has gone up, and must find its button. */
  released() {
    setTimeout(() => {
      this.pressed = null;
      if (this.missed) this.refreshSoon();
      this.missed = false;
    });
  }

  place(element, active) {
    if (active.id) return `#${CSS.escape(active.id)}`;
    if (active.hasAttribute("href")) return `a[href="${CSS.escape(active.getAttribute("href"))}"]`;
    const alike = [...element.querySelectorAll(active.tagName)];
    return { tag: active.tagName, index: alike.indexOf(active) };
  }

  restore(target) {
    const place = this.kept.get(target?.id);
    if (!place) return;
    this.kept.delete(target.id);
    if (document.activeElement && document.activeElement !== document.body) return;
    const found = typeof place === "string"
      ? target.querySelector(place)
      : target.querySelectorAll(place.tag)[place.index];
    found?.focus({ preventScroll: true });
  }
}

const root = document.querySelector("[data-live-url][data-ticket-url]");
if (root) new Live(root);
