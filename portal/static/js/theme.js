// Runs before the first paint: turns "as my device" into light or dark, and follows the device when it changes.
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = root.dataset.theme;
    root.dataset.bsTheme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
  };
  dark.addEventListener("change", apply);
  root.addEventListener("slipway:theme", apply);
  apply();
})();
