// A worker that hashes files in slices, one after the other, away from the page.
// In: {id, blob}. Out: {id, done} after each slice, then {id, digest: Uint8Array}, or {id, error}.
import { sha256 } from "../vendor/hashes/sha2.js";

const SLICE = 4 * 1024 * 1024;
let queue = Promise.resolve();

const hash = async ({ id, blob }) => {
  const state = sha256.create();
  try {
    for (let at = 0; at < blob.size; at += SLICE) {
      state.update(new Uint8Array(await blob.slice(at, at + SLICE).arrayBuffer()));
      self.postMessage({ id, done: Math.min(at + SLICE, blob.size) });
    }
    self.postMessage({ id, digest: state.digest() });
  } catch (error) { // the file was moved or changed after it was chosen
    self.postMessage({ id, error: String(error) });
  }
};

self.addEventListener("message", ({ data }) => { queue = queue.then(() => hash(data)); });
