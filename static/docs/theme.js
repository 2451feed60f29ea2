// Light or dark, as chosen with the admin's switch, else as the system has it. Runs before anything is painted.
"use strict";

(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    const chosen = localStorage.getItem("theme");
    return chosen === "dark" || (chosen !== "light" && system.matches);
  }

  function show() {
    // The class that Swagger UI's own style sheet knows.
    document.documentElement.classList.toggle("dark-mode", isDark());
    document.dispatchEvent(new Event("themechange"));
  }

  show();
  system.addEventListener("change", show);
  window.addEventListener("storage", show);
})();
