// [data-upload]: sends the file apart from its form and puts the id of the kept upload into it. In pieces: it can be
// paused, and goes on after a broken connection or a closed window. Without script the plain file input travels with
// the form and the server does the same.
import { discard, transfer, unfinished } from "./upload-transfer.js";

const bytes = (count) => {
  const units = ["B", "kB", "MB", "GB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
};
const duration = (seconds) => {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

// Bytes per second over the last few seconds.
const speedometer = () => {
  let seen = [];
  return {
    reset: () => { seen = []; },
    at: (done) => {
      const now = performance.now();
      seen = [...seen.filter(([time]) => now - time < 8000), [now, done]];
      const [[time, first]] = seen;
      return now - time > 500 ? (done - first) / ((now - time) / 1000) : 0;
    },
  };
};

const start = (box) => {
  const file = box.querySelector("input[type=file]");
  const id = box.querySelector("input[type=hidden]");
  const bar = box.querySelector("progress");
  const state = box.querySelector(".upload-state");
  const numbers = box.querySelector(".upload-numbers");
  const actions = box.querySelector(".upload-actions");
  const toggle = box.querySelector("[data-pause]");
  const stop = box.querySelector("[data-cancel]");
  const kept = box.querySelector(".upload-kept");
  const forget = box.querySelector("[data-forget]");
  const earlier = box.querySelector(".upload-earlier");
  const form = box.closest("form");
  const endpoint = `${box.dataset.upload}tus/`;
  const speed = speedometer();
  let running = null;
  let paused = false;
  // The form's own button was pressed before the file was there.
  let sendOn = null;

  const showKept = (shown) => {
    kept.hidden = !shown;
    box.classList.toggle("is-kept", shown);
  };
  showKept(Boolean(id.value));

  const say = (text, failed = false) => {
    // A live region is read again whenever it is written: only what is new is.
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("is-fail-text", failed);
  };
  const count = (by) => { form.dataset.uploading = String(Math.max(0, Number(form.dataset.uploading || 0) + by)); };
  const show = (sending) => {
    box.classList.toggle("is-sending", sending);
    // Hidden and required it would keep the form from being sent without a word.
    file.disabled = sending;
    for (const part of [bar, numbers, actions]) part.hidden = !sending;
  };
  // What hides takes the focus with it: the next thing to press gets it.
  const settle = (next = null) => {
    if (!running) return;
    const focused = actions.contains(document.activeElement);
    running = null;
    count(-1);
    show(false);
    if (focused) next?.focus();
  };

  const tellOf = (chosen) => ({
    state: (name, detail) => {
      paused = name === "paused";
      box.dataset.state = name;
      toggle.textContent = paused ? "Resume" : "Pause";
      toggle.hidden = name === "finishing" || name === "checking";
      if (name !== "sending") { speed.reset(); numbers.textContent = ""; }
      say({
        checking: `Checking ${chosen.name} before it is sent`,
        sending: `Uploading ${chosen.name}, ${bytes(chosen.size)}`,
        waiting: `The connection broke. Trying again in ${duration(detail ?? 1)}; what has arrived is kept.`,
        paused: detail ? `Paused. ${detail}` : "Paused. What has arrived is kept.",
        finishing: "Checking what arrived",
      }[name], Boolean(paused && detail));
    },
    progress: (done, total) => {
      bar.value = total ? done / total : 0;
      if (box.dataset.state !== "sending") { numbers.textContent = `${Math.floor((100 * done) / total)} %`; return; }
      const rate = speed.at(done);
      const parts = [`${bytes(done)} of ${bytes(total)}`];
      if (rate > 0) parts.push(`${bytes(Math.round(rate))}/s`, `${duration((total - done) / rate)} left`);
      numbers.textContent = parts.join(" · ");
    },
    kept: (answer) => {
      box.dataset.state = "kept";
      id.value = answer.id;
      kept.querySelector(".name").textContent = answer.filename;
      kept.querySelector(".size").textContent = bytes(answer.size);
      showKept(true);
      settle(forget);
      // An empty file input is not sent: the id alone stands for the file.
      file.value = "";
      file.required = false;
      say("Uploaded and kept. It stays even if something else in the form has to change.");
      const wanted = sendOn;
      sendOn = null;
      if (wanted) form.requestSubmit(wanted.submitter);
    },
    failed: (text) => {
      sendOn = null;
      settle(file);
      box.dataset.state = "failed";
      file.value = "";
      say(text, true);
    },
  });
  const send = (chosen) => {
    running?.cancel();
    settle();
    if (!chosen.size) { file.value = ""; say(`${chosen.name} is empty. Choose another file.`, true); return; }
    earlier.hidden = true;
    speed.reset();
    bar.value = 0;
    count(1);
    const focused = document.activeElement === file;
    show(true);
    if (focused) stop.focus();
    running = transfer(chosen, { endpoint, purpose: box.dataset.purpose, form, tell: tellOf(chosen) });
  };

  const showEarlier = async () => {
    const found = (await unfinished(endpoint, box.dataset.purpose)).find(({ offset }) => offset > 0);
    if (!found || running || id.value) return;
    earlier.hidden = false;
    earlier.querySelector(".name").textContent = found.filename;
    earlier.querySelector(".size").textContent = `${bytes(found.offset)} of ${bytes(found.size)}`;
    earlier.querySelector("[data-discard]").addEventListener("click", async () => {
      earlier.hidden = true;
      file.focus();
      await discard(found, form);
    }, { once: true });
  };
  showEarlier();

  const sendChosen = () => { if (file.files[0]) send(file.files[0]); };
  file.addEventListener("change", sendChosen);
  toggle.addEventListener("click", () => { if (paused) running?.resume(); else running?.pause(); });
  stop.addEventListener("click", () => {
    running?.cancel();
    sendOn = null;
    settle(file);
    box.dataset.state = "";
    file.value = "";
    say("Cancelled. Nothing of it was kept.");
  });
  forget.addEventListener("click", () => {
    id.value = "";
    showKept(false);
    file.required = box.dataset.required === "true";
    say("");
    file.focus();
  });
  for (const name of ["dragover", "dragleave", "drop"]) {
    box.addEventListener(name, (event) => {
      event.preventDefault();
      box.classList.toggle("is-over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
    });
  }
  form.addEventListener("submit", (event) => {
    if (!running) return;
    event.preventDefault();
    sendOn = paused ? null : { submitter: event.submitter };
    say(sendOn ? "Still uploading: the form is sent as soon as it is done." : "Paused: resume or cancel it before the form can be sent.", true);
    box.scrollIntoView({ block: "center" });
  });
  // Chosen before this script had arrived, or put back by the browser with the rest of the form.
  sendChosen();
};

for (const box of document.querySelectorAll("[data-upload]")) start(box);
