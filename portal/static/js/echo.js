// [data-echo="name"]: says what stands in the form's input of that name; with data-echo-file, the name of its kept upload.
for (const place of document.querySelectorAll("[data-echo]")) {
  const input = place.closest("form").elements.namedItem(place.dataset.echo);
  if (!input) continue;
  const upload = "echoFile" in place.dataset ? input.closest(".upload") : null;
  const draw = () => {
    const file = upload?.querySelector(".upload-kept");
    const text = upload ? (file.hidden ? "" : file.querySelector(".name").textContent) : input.value.trim();
    place.textContent = text || place.dataset.empty;
  };
  // A kept upload is shown and hidden by the upload's own script.
  if (upload) new MutationObserver(draw).observe(upload, { subtree: true, childList: true, characterData: true, attributes: true });
  else input.addEventListener("input", draw);
  draw();
}
