// The theme's button, and drawing again when the theme or the width class changes.
function redrawnWhenItLooksOtherwise(redraw) {
  const button = document.getElementById("theme");
  function label() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!root.dataset.theme) {
      label();
      redraw();
    }
  });

  let wasNarrow = isNarrow();
  addEventListener("resize", () => {
    if (wasNarrow !== isNarrow()) {
      wasNarrow = isNarrow();
      redraw();
    }
  });
  label();
}
