// What the pages do beside htmx: say when the console itself is away, and go to a line of the editor.
(function () {
  "use strict";

  var away = null;

  function banner(words) {
    var place = document.getElementById("banner");
    if (!place) return;
    if (!words) {
      place.hidden = true;
      place.textContent = "";
    } else if (place.textContent !== words) {
      place.textContent = words;
      place.hidden = false;
    }
  }

  function time() {
    return new Date().toISOString().slice(11, 19);
  }

  function lost() {
    away = away || time();
    banner("The console has not answered since " + away + ". What you see is from before; this page goes on by itself once it answers. Workers do not depend on it.");
  }

  // Where the menu is wider than a phone, the page that is open stands in view.
  var here = document.querySelector(".top nav [aria-current]");
  if (here) here.scrollIntoView({ block: "nearest", inline: "center" });

  document.addEventListener("htmx:sendError", lost);
  document.addEventListener("htmx:timeout", lost);

  // Answers that are no success have words of their own, which belong where the answer was awaited.
  document.addEventListener("htmx:beforeSwap", function (event) {
    var detail = event.detail;
    if (detail.xhr.status >= 400 && detail.xhr.responseText) {
      if (detail.xhr.status === 401) {
        // Not in place of a page that somebody reads or types in.
        banner("");
        var place = document.getElementById("banner");
        place.innerHTML = detail.xhr.responseText;
        place.hidden = false;
        detail.shouldSwap = false;
        return;
      }
      detail.shouldSwap = true;
      detail.isError = false;
    }
  });

  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.successful) {
      away = null;
      banner("");
    }
  });

  document.addEventListener("click", function (event) {
    var button = event.target.closest ? event.target.closest(".to-line") : null;
    var text = document.getElementById("text");
    if (!button || !text) return;
    var lines = text.value.split("\n");
    var line = Math.min(Number(button.dataset.line), lines.length);
    var start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(start, start + lines[line - 1].length);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
  });
})();
