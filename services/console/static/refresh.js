// Keeps a page fresh: asks for it anew when the server says that something changed (and every few
// seconds in any case), and leaves what the reader has opened, or is pointing at, as it is.
"use strict";

const fresh = document.querySelector("[data-changes]");
const open = new Set();

const changes = new EventSource(fresh.dataset.changes);
changes.addEventListener("changed", () => {
  htmx.trigger(document.getElementById(fresh.id), "changed");
});

document.addEventListener("toggle", (event) => {
  if (event.target.tagName !== "DETAILS") return;
  if (event.target.open) open.add(event.target.id);
  else open.delete(event.target.id);
}, true);

document.addEventListener("htmx:afterSwap", () => {
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
});
