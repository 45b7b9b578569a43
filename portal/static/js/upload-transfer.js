// One file on its way to the server: checked, sent in pieces by the tus protocol, picked up where it broke off.
import "../vendor/tus.min.js";

const { Upload, defaultOptions } = window.tus;
const PIECE = 8 * 1024 * 1024;
const DELAYS = [1000, 2000, 4000, 8000, 15000, ...Array(30).fill(30000)];
const SIGN_IN = "/account/login/";
const DAY = 24 * 3600 * 1000;

const hex = (digest) => [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (digest) => btoa(String.fromCharCode(...digest));
const token = (form) => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? form.querySelector("[name=csrfmiddlewaretoken]").value;

export const problemOf = (status, text) => {
  try {
    const { title, cause, remedy, code } = JSON.parse(text);
    if (title) return `${title}. ${cause} ${remedy} (${code})`;
  } catch { /* a proxy's page instead of ours */ }
  return status === 413 ? "The server does not take a file of this size." : `The server answered ${status}.`;
};

// Hashes blobs in a worker of its own; ends with the transfer.
const hasher = () => {
  const worker = new Worker(new URL("./sha256-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;
  const fail = (message) => {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
  worker.addEventListener("message", ({ data: { id, done, digest, error } }) => {
    const job = waiting.get(id);
    if (!job) return;
    if (digest) { waiting.delete(id); job.resolve(digest); }
    else if (error) { waiting.delete(id); job.reject(new Error("The file cannot be read any more. Choose it again.")); }
    else job.progress(done);
  });
  worker.addEventListener("error", () => fail("The file could not be checked in this browser."));
  return {
    digest: (blob, progress = () => {}) => new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject, progress });
      worker.postMessage({ id: last, blob });
    }),
    end: () => worker.terminate(),
  };
};

// Uploads of this purpose that an earlier page began: [{name, size, offset, url, forget}].
export const unfinished = async (endpoint, purpose) => {
  if (!defaultOptions.urlStorage?.findAllUploads) return [];
  const entries = await defaultOptions.urlStorage.findAllUploads();
  const found = [];
  for (const entry of entries) {
    if (!entry.uploadUrl?.startsWith(endpoint) || entry.metadata?.purpose !== purpose) continue;
    const forget = () => defaultOptions.urlStorage.removeUpload(entry.urlStorageKey);
    if (Date.now() - Date.parse(entry.creationTime) > 7 * DAY) { await forget(); continue; }
    const answer = await fetch(entry.uploadUrl, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer?.ok && !answer.redirected) found.push({ ...await answer.json(), url: entry.uploadUrl, forget });
  }
  return found;
};

export const discard = async (entry, form) => {
  await entry.forget();
  await fetch(entry.url, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0", "X-CSRFToken": token(form) } });
};

// tell: {state(name, detail), progress(done, total), kept(answer), failed(text)}. States: checking, sending, waiting
// (detail: seconds), paused (detail: reason or ""), finishing. Returns {pause, resume, cancel}.
export const transfer = (file, { endpoint, purpose, form, tell }) => {
  const hashes = hasher();
  let upload = null;
  let stopped = false; // by the user, or because trying again has not helped
  let over = false;
  let finishing = false;

  const end = (tellIt) => {
    if (over) return;
    over = true;
    window.removeEventListener("online", hurry);
    hashes.end();
    tellIt();
  };
  const stop = (reason = "") => {
    stopped = true;
    upload?.abort();
    tell.state("paused", reason);
  };
  // Back on the network: no need to wait for the next try.
  const hurry = () => {
    if (!upload || stopped || over || finishing) return;
    upload.abort();
    upload.start();
  };

  const signedOut = (request) => request?.getUnderlyingObject()?.responseURL?.includes(SIGN_IN);
  const options = {
    endpoint,
    chunkSize: PIECE,
    retryDelays: DELAYS,
    removeFingerprintOnSuccess: false,
    onBeforeRequest: async (request) => {
      if (request.getMethod() === "PATCH") {
        const offset = Number(request.getHeader("Upload-Offset"));
        request.setHeader("Upload-Checksum", `sha256 ${base64(await hashes.digest(file.slice(offset, offset + PIECE)))}`);
      }
      // Paused while the piece was hashed. The end of an upload (DELETE) is sent all the same.
      if ((stopped || over) && request.getMethod() !== "DELETE") throw new Error("stopped");
      request.setHeader("X-CSRFToken", token(form));
    },
    onAfterResponse: (request, response) => {
      // The library would begin anew after a proxy's 502.
      if (request.getMethod() === "HEAD" && response.getStatus() >= 500) throw new Error(`The server answered ${response.getStatus()}.`);
      if (signedOut(request)) throw new Error("signed out");
    },
    onShouldRetry: (error, attempt) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      if (over || signedOut(error.originalRequest)) return false;
      const again = !status || [409, 423, 460].includes(status) || (status >= 500 && status !== 507);
      if (again) tell.state("waiting", DELAYS[attempt] / 1000);
      return again;
    },
    onProgress: (sent, total) => {
      tell.state("sending");
      tell.progress(sent, total);
    },
    onError: (error) => {
      if (over) return;
      const status = error.originalResponse?.getStatus() ?? 0;
      if (signedOut(error.originalRequest)) { stop("You are signed out. Sign in again in another window, then resume."); return; }
      if (!status) { stop("The connection does not come back."); return; }
      const text = problemOf(status, error.originalResponse.getBody());
      if (status >= 500) stop(text);
      else end(() => tell.failed(text));
    },
    onSuccess: () => finish(),
  };

  // What has arrived becomes an upload; the answer may get lost, so it may be asked again.
  const finish = async (attempt = 0) => {
    finishing = true;
    tell.state("finishing");
    let answer = null;
    try {
      answer = await fetch(`${upload.url}finish/`, {
        method: "POST", headers: { "X-CSRFToken": token(form), Accept: "application/json" },
      });
    } catch { /* the connection broke */ }
    if (over) return;
    if (answer?.redirected) { finishing = false; stop("You are signed out. Sign in again in another window, then resume."); return; }
    if (!answer || answer.status === 423 || answer.status >= 500) {
      if (attempt >= DELAYS.length) { finishing = false; stop("The server does not answer."); return; }
      setTimeout(() => { if (!over) finish(attempt + 1); }, DELAYS[attempt]);
      return;
    }
    const text = await answer.text();
    await forgetPrevious();
    end(() => { if (answer.ok) tell.kept(JSON.parse(text)); else tell.failed(problemOf(answer.status, text)); });
  };
  const forgetPrevious = async () => {
    for (const { urlStorageKey } of await upload.findPreviousUploads()) {
      await defaultOptions.urlStorage.removeUpload(urlStorageKey);
    }
  };

  const begin = async () => {
    tell.state("checking");
    const sha256 = hex(await hashes.digest(file, (done) => tell.progress(done, file.size)));
    if (over) return;
    const metadata = { filename: file.name, purpose, sha256 };
    upload = new Upload(file, { ...options, metadata, fingerprint: async () => `${endpoint}${purpose}/${sha256}` });
    const [previous] = await upload.findPreviousUploads();
    if (previous) upload.resumeFromPreviousUpload(previous);
    if (stopped || over) return;
    tell.state("sending");
    upload.start();
  };

  window.addEventListener("online", hurry);
  begin().catch((error) => end(() => tell.failed(error.message)));
  return {
    pause: () => { if (!over && !finishing) stop(); },
    resume: () => {
      if (!stopped || over) return;
      stopped = false;
      tell.state(upload ? "sending" : "checking");
      upload?.start();
    },
    cancel: () => {
      stopped = true;
      end(() => { upload?.abort(true).catch(() => {}); });
    },
  };
};
