// On a narrow screen the bar of sections scrolls: begin where its page is.
"use strict";

(() => {
  const bar = document.querySelector(".sections");
  const current = bar && bar.querySelector("[aria-current]");
  if (current) bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
})();
