// [data-upload]: sends the file apart from its form, with progress, and puts the id of the kept upload into the form.
// Without script the plain file input travels with the form and the server does the same.
const bytes = (count) => {
  const units = ["B", "kB", "MB", "GB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
};

const problem = (request) => {
  try {
    const { title, cause, remedy, code } = JSON.parse(request.responseText);
    return `${title}. ${cause} ${remedy} (${code})`;
  } catch { // a proxy's page instead of ours
    return request.status === 413 ? "The server does not take a file of this size." : `The server answered ${request.status}.`;
  }
};

const start = (box) => {
  const file = box.querySelector("input[type=file]");
  const id = box.querySelector("input[type=hidden]");
  const bar = box.querySelector("progress");
  const state = box.querySelector(".upload-state");
  const kept = box.querySelector(".upload-kept");
  const form = box.closest("form");
  let running = null;

  const showKept = (shown) => {
    kept.hidden = !shown;
    box.classList.toggle("is-kept", shown);
  };
  showKept(Boolean(id.value));

  const settle = () => {
    running = null;
    bar.hidden = true;
    form.dataset.uploading = String(Math.max(0, Number(form.dataset.uploading || 0) - 1));
  };
  const say = (text, failed = false) => {
    state.textContent = text;
    state.classList.toggle("is-fail-text", failed);
  };
  const keep = (answer) => {
    id.value = answer.id;
    kept.querySelector(".name").textContent = answer.filename;
    kept.querySelector(".size").textContent = bytes(answer.size);
    showKept(true);
    // An empty file input is not sent: the id alone stands for the file.
    file.value = "";
    file.required = false;
    say("Uploaded and kept. It stays even if something else in the form has to change.");
  };
  const send = (chosen) => {
    running?.abort();
    const body = new FormData();
    body.append("file", chosen);
    body.append("purpose", box.dataset.purpose);
    const request = new XMLHttpRequest();
    running = request;
    form.dataset.uploading = String(Number(form.dataset.uploading || 0) + 1);
    bar.hidden = false;
    bar.value = 0;
    say(`Uploading ${chosen.name}, ${bytes(chosen.size)}`);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = event.loaded / event.total;
      say(`${bytes(event.loaded)} of ${bytes(event.total)}`);
    });
    request.addEventListener("load", () => {
      settle();
      if (request.status >= 200 && request.status < 300) keep(JSON.parse(request.responseText));
      else { file.value = ""; say(problem(request), true); }
    });
    request.addEventListener("error", () => { settle(); say("The connection broke. Choose the file again to retry.", true); });
    request.addEventListener("abort", () => settle());
    request.open("POST", box.dataset.upload);
    request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
  };

  file.addEventListener("change", () => { if (file.files[0]) send(file.files[0]); });
  box.querySelector("[data-forget]")?.addEventListener("click", () => {
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
    say("Still uploading: the form can be sent when it is done.", true);
    state.scrollIntoView({ block: "center" });
  });
};

for (const box of document.querySelectorAll("[data-upload]")) start(box);
