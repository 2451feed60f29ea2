// Shows the one timing field that belongs to the chosen type. Without this script all three are there.
"use strict";

(() => {
  const fields = { interval: "interval_seconds", cron: "cron_expression", once: "run_at" };

  function showOwnField() {
    const type = document.getElementById("id_schedule_type");
    // Who may only look has no field to choose with.
    if (!type) return;
    type.onchange = showOwnField;
    for (const [name, field] of Object.entries(fields)) {
      const row = document.querySelector(`.form-row.field-${field}`);
      // A field that was refused stays in sight, whatever the type.
      row.hidden = name !== type.value && !row.classList.contains("errors");
      // Disabled inputs are not sent: what was typed for another type can't get in the way.
      for (const input of row.querySelectorAll("input")) input.disabled = row.hidden;
    }
  }

  // When the page is complete, and after "back", when the browser has restored another type.
  window.addEventListener("pageshow", showOwnField);
})();
