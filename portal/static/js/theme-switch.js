// The theme buttons take effect at once; the form behind them tells the server.
for (const form of document.querySelectorAll("form[data-theme-form]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const theme = event.submitter.value;
    document.documentElement.dataset.theme = theme;
    document.documentElement.dispatchEvent(new Event("slipway:theme"));
    for (const button of form.querySelectorAll("button[name=theme]")) {
      button.setAttribute("aria-pressed", String(button.value === theme));
    }
    const body = new FormData(form);
    body.set("theme", theme);
    await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
  });
}
