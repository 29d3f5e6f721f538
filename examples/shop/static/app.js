// What makes the pages nicer. Each of them works without it.
"use strict";
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));

  // GETs an answer as JSON, or null if there is none within ten seconds.
  const ask = async (url) => {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 10000);
    try {
      const answer = await fetch(url, { headers: { accept: "application/json" }, cache: "no-store", signal: stop.signal });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  };

  // The page as it is now, without the news of what was done before.
  const reload = () => {
    const url = new URL(location.href);
    url.searchParams.delete("done");
    location.replace(url);
  };

  const say = (name) => all("[data-status] [data-part]").forEach((part) => { part.hidden = part.dataset.part !== name; });

  // A form is sent once: a second press of the button must not pay a second time.
  for (const form of all("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      // Later, because a disabled button's name and value are not sent.
      setTimeout(() => form.querySelectorAll("button").forEach((button) => {
        if (!button.disabled) {
          button.disabled = true;
          button.dataset.sent = "yes";
        }
      }));
    });
  }
  // A page that comes back by the "back" button is as the server has it now, not as it was.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { reload(); } });

  const deadlines = new Map();
  const setSeconds = (shown, seconds) => deadlines.set(shown, Date.now() + seconds * 1000);
  const tick = () => {
    for (const [shown, deadline] of deadlines) {
      const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
      shown.textContent = String(left);
      const bar = document.getElementById(shown.dataset.bar || "");
      if (bar) { bar.value = left; }
      if (left > 0) { continue; }
      deadlines.delete(shown);
      const button = document.getElementById(shown.dataset.enables || "");
      if (button) { button.disabled = false; }
      if (shown.dataset.over) { say(shown.dataset.over); }
    }
  };
  for (const shown of all("[data-countdown]")) { setSeconds(shown, Number(shown.dataset.countdown)); }
  if (deadlines.size > 0) { setInterval(tick, 500); }

  // Shows how a phone number is understood while it is typed.
  for (const input of all("[data-understand]")) {
    const shown = document.getElementById("phone-understood");
    let timer;
    let latest = 0;
    const look = async () => {
      const value = input.value.trim();
      const mine = ++latest;
      if (value === "") { shown.textContent = ""; return; }
      const answer = await ask(`${input.dataset.understand}?value=${encodeURIComponent(value)}`);
      if (mine !== latest || answer === null) { return; }
      shown.className = answer.understood ? "understood good" : "understood bad";
      shown.textContent = [answer.understood && `We will ask ${answer.understood}.`, answer.note].filter(Boolean).join(" ");
    };
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 400); });
    if (input.value !== "" && !input.hasAttribute("aria-invalid")) { look(); }
  }

  // Calls `look` again and again, never twice at once; `look` answers whether to go on.
  const repeat = (seconds, look) => {
    let timer;
    let busy = false;
    let over = false;
    const turn = async () => {
      if (busy || over) { return; }
      clearTimeout(timer);
      busy = true;
      over = !(await look());
      busy = false;
      if (!over) { timer = setTimeout(turn, seconds * 1000); }
    };
    timer = setTimeout(turn, seconds * 1000);
    // Somebody who comes back from the phone's own prompt wants to know at once.
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { turn(); } });
  };

  for (const stage of all("[data-poll]")) {
    let attempts = 0;
    repeat(Number(stage.dataset.every), async () => {
      attempts += 1;
      const answer = await ask(stage.dataset.poll);
      if (answer && answer.state !== stage.dataset.state) {
        reload();
        return false;
      }
      const shown = stage.querySelector("[data-countdown]");
      if (answer && shown && answer.seconds_left > 0) { setSeconds(shown, answer.seconds_left); }
      if (attempts >= 24) { say("stopped"); }
      return attempts < 24;
    });
  }

  // What others change: a phone, or payouts that are under way.
  for (const watched of all("[data-watch]")) {
    repeat(Number(watched.dataset.every), async () => {
      const answer = await ask(watched.dataset.watch);
      if (!answer || answer.version === watched.dataset.version) { return true; }
      // A PIN that is half typed is not taken away.
      const typing = document.activeElement;
      if (typing && typing.matches(".pin") && typing.value !== "") {
        say("changed");
        return true;
      }
      reload();
      return false;
    });
  }
})();
