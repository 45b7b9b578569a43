// Keeps <time data-ago> fresh, and adds the reader's own time zone to the absolute time shown on hover.
const UNITS = [["y", 31536000], ["mo", 2592000], ["d", 86400], ["h", 3600], ["min", 60]];

export const ago = (seconds) => {
  const past = Math.abs(seconds);
  for (const [unit, size] of UNITS) {
    if (past >= size) {
      const text = `${Math.floor(past / size)} ${unit}`;
      return seconds >= 0 ? `${text} ago` : `in ${text}`;
    }
  }
  return "just now";
};

export const clock = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  return minutes >= 60
    ? `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    : minutes ? `${minutes} min ${String(whole % 60).padStart(2, "0")} s` : `${whole} s`;
};

const refresh = () => {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const then = new Date(element.dateTime);
    element.textContent = ago((now - then) / 1000);
    if (!element.dataset.local) {
      element.dataset.local = "1";
      element.title = `${element.title} (${then.toLocaleString()} here)`;
    }
  }
  for (const element of document.querySelectorAll("time[data-since]")) {
    element.textContent = clock((now - new Date(element.dateTime)) / 1000);
  }
};

refresh();
setInterval(refresh, 1000);
document.addEventListener("htmx:afterSwap", refresh);
