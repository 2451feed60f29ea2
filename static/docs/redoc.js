// Starts ReDoc on the document that the page names.
"use strict";

const root = document.getElementById("redoc");
// The fonts are the system's: nothing is loaded from elsewhere.
const fonts = { typography: { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } } };

Redoc.init(root.dataset.openapiUrl, { hideHostname: true, theme: fonts }, root);
