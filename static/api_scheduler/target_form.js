// Shows the credentials that belong to the chosen type, and makes signing secrets. Without this script all are there.
"use strict";

(() => {
  const members = {
    none: [],
    basic: ["username", "password"],
    bearer: ["token"],
    api_key: ["name", "value", "in"],
    oauth2_client_credentials: ["token_url", "client_id", "client_secret", "scope", "client_auth"],
  };
  const every = new Set(Object.values(members).flat());

  function showOwnMembers() {
    const type = document.getElementById("id_auth");
    // Who may only look has no field to choose with.
    if (!type) return;
    type.onchange = showOwnMembers;
    for (const name of every) {
      const row = document.querySelector(`.form-row.field-auth_${name}`);
      // A field that was refused stays in sight, whatever the type.
      row.hidden = !members[type.value].includes(name) && !row.classList.contains("errors");
      for (const input of row.querySelectorAll("input, select")) input.disabled = row.hidden;
    }
  }

  function offerSigningSecret() {
    const input = document.getElementById("id_signing_secret");
    if (!input || document.getElementById("make_signing_secret")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.id = "make_signing_secret";
    button.className = "make-secret";
    button.textContent = "Make a new one";
    button.onclick = () => {
      const bytes = crypto.getRandomValues(new Uint8Array(32));
      input.value = `whsec_${btoa(String.fromCharCode(...bytes))}`;
      input.focus();
      input.select();
    };
    input.after(button);
  }

  // When the page is complete, and after "back", when the browser has restored another type.
  window.addEventListener("pageshow", () => {
    showOwnMembers();
    offerSigningSecret();
  });
})();
