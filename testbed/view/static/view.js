"use strict";
// The server sends the changing part of the page as HTML that it has escaped; this puts it in its place.
const live = document.getElementById("live");
const cutOff = document.getElementById("cut-off");
const looks = new EventSource(live.dataset.looks);
looks.addEventListener("open", () => { cutOff.hidden = true; });
looks.addEventListener("error", () => { cutOff.hidden = false; });
looks.addEventListener("look", (event) => {
  live.innerHTML = JSON.parse(event.data);
  live.dataset.seen = String(Number(live.dataset.seen || 0) + 1);
});
