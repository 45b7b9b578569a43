// A button beside each password field that shows what was typed.
for (const input of document.querySelectorAll("input[type=password]")) {
  const group = document.createElement("div");
  group.className = "input-group input-group-flat";
  const box = document.createElement("span");
  box.className = "input-group-text p-0";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button";
  button.setAttribute("aria-label", "Show password");
  button.setAttribute("aria-pressed", "false");
  const icon = document.createElement("i");
  icon.className = "ti ti-eye";
  icon.setAttribute("aria-hidden", "true");
  button.append(icon);
  box.append(button);
  const focused = document.activeElement === input;
  input.replaceWith(group);
  group.append(input, box);
  if (focused) input.focus();
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    icon.className = shown ? "ti ti-eye" : "ti ti-eye-off";
  });
}
