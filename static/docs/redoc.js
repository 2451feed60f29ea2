// Starts ReDoc on the document that the page names.
"use strict";

const root = document.getElementById("redoc");
// The fonts are the system's: nothing is loaded from elsewhere.
const fonts = { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } };
const light = { typography: fonts };
const dark = {
  colors: {
    primary: { main: "#93c5fd" },
    success: { main: "#4ade80" },
    error: { main: "#f87171" },
    warning: { main: "#fbbf24" },
    gray: { 50: "#1b1f24", 100: "#262c33" },
    text: { primary: "#e2e6ea", secondary: "#a9b2bc" },
    border: { dark: "rgba(255, 255, 255, 0.18)", light: "#30363d" },
    responses: {
      success: { color: "#86efac", backgroundColor: "#12281a" },
      error: { color: "#fca5a5", backgroundColor: "#301717" },
      redirect: { color: "#fcd34d", backgroundColor: "#2e2610" },
      info: { color: "#93c5fd", backgroundColor: "#13243a" },
    },
  },
  schema: { nestedBackground: "#1b1f24", linesColor: "#5b7ea8", typeNameColor: "#a9b2bc", requireLabelColor: "#f87171" },
  sidebar: { backgroundColor: "#161a1f", textColor: "#d7dde4" },
  rightPanel: { backgroundColor: "#0d1117" },
  typography: {
    ...fonts,
    links: { color: "#93c5fd", visited: "#93c5fd", hover: "#bfdbfe" },
    code: { color: "#fda4af", backgroundColor: "rgba(255, 255, 255, 0.08)" },
  },
};
const isDark = document.documentElement.classList.contains("dark-mode");

Redoc.init(root.dataset.openapiUrl, { hideHostname: true, theme: isDark ? dark : light }, root);

// ReDoc takes its colours once.
document.addEventListener("themechange", () => {
  if (document.documentElement.classList.contains("dark-mode") !== isDark) location.reload();
});
