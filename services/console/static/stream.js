// The live stream: native EventSource, which sends Last-Event-ID by itself after a break. Rows come
// ready-made and escaped from the server; this script only puts them in place, at most `rowsMax`.
"use strict";

const table = document.getElementById("stream");
const body = document.getElementById("events");
const status = document.getElementById("stream-status");
const empty = document.getElementById("stream-empty");
const pause = document.getElementById("pause");
const rowsMax = Number(table.dataset.rowsMax);

let waiting = [];
let waitingCount = 0;
let paused = false;
let drawing = false;
let said = "";

function say(text) {
  if (text !== said) {
    said = text;
    status.textContent = text;
  }
}

function sayState() {
  if (paused) {
    say(`Paused: ${waitingCount} new ${waitingCount === 1 ? "event waits" : "events wait"}.`);
  } else {
    say("Live: new events appear on top.");
  }
}

function draw() {
  drawing = false;
  if (paused) return;
  const holder = document.createElement("template");
  // newest first; a table row is only parsed as one inside a template
  holder.innerHTML = waiting.reverse().join("");
  for (const row of holder.content.querySelectorAll("tr")) row.classList.add("new");
  body.prepend(holder.content);
  waiting = [];
  waitingCount = 0;
  while (body.rows.length > rowsMax) body.lastElementChild.remove();
  empty.hidden = body.rows.length > 0;
  sayState();
}

function drawSoon() {
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(draw);
  }
}

const source = new EventSource(table.dataset.feed);

source.addEventListener("open", sayState);

source.addEventListener("row", (event) => {
  waiting.push(event.data);
  waitingCount += 1;
  // what would fall off the end anyway need not be kept while paused
  if (waiting.length > rowsMax) waiting.shift();
  if (paused) sayState();
  else drawSoon();
});

source.addEventListener("missing", (event) => {
  say(`${event.data} events before these are no longer in the log.`);
});

source.addEventListener("trouble", (event) => {
  say(`${event.data}; trying again.`);
});

source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) {
    say("The stream has ended. Reload the page to sign in again.");
  } else {
    say("Connecting again; nothing will be missed.");
  }
});

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) sayState();
  else drawSoon();
});
