// Brings the page up to date every two seconds without touching what is being
// typed: only elements marked data-live are replaced, and of a data-live="list"
// only the children that differ. What was served last is kept as text, so that
// what the visitor did to the page (an opened <details>) is not a difference.
"use strict";
(() => {
  const every = 2000;
  const pulse = document.getElementById("pulse");
  const calm = pulse.textContent;
  const served = new Map();
  let before = "";

  const remember = (root) => {
    for (const live of root.querySelectorAll("[data-live]")) {
      served.set(live.id, live.outerHTML);
      if (live.dataset.live === "list") for (const child of live.children) served.set(child.id, child.outerHTML);
    }
  };

  const replace = (old, fresh) => {
    if (served.get(fresh.id) === fresh.outerHTML) return;
    if (old.contains(document.activeElement)) return; // next time: somebody is at it
    served.set(fresh.id, fresh.outerHTML);
    fresh.classList.add("fresh");
    old.replaceWith(fresh);
  };

  const mergeList = (old, fresh) => {
    const wanted = new Set([...fresh.children].map((child) => child.id));
    for (const child of [...old.children]) if (!wanted.has(child.id)) child.remove();
    let last = null;
    for (const child of [...fresh.children]) {
      const here = document.getElementById(child.id);
      if (here) {
        replace(here, child);
      } else {
        served.set(child.id, child.outerHTML);
        child.classList.add("fresh");
        if (last) last.after(child); else old.prepend(child);
      }
      last = document.getElementById(child.id);
    }
  };

  const merge = (page) => {
    for (const fresh of page.querySelectorAll("[data-live]")) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      if (fresh.dataset.live === "list") mergeList(old, fresh); else replace(old, fresh);
    }
    if (document.title !== page.title && page.title) document.title = page.title;
  };

  const refresh = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { cache: "no-cache" });
        if (!answer.ok) throw new Error(answer.statusText);
        const text = await answer.text();
        if (text !== before) {
          before = text;
          merge(new DOMParser().parseFromString(text, "text/html"));
        }
        pulse.textContent = calm;
      } catch {
        pulse.textContent = "No answer from the sandbox; trying again.";
      }
    }
    setTimeout(refresh, every);
  };

  remember(document);
  const actor = document.getElementById("actor");
  if (actor) {
    actor.addEventListener("change", () => actor.form.requestSubmit());
    actor.form.querySelector("button").hidden = true;
  }
  if (document.querySelector("[data-live]")) setTimeout(refresh, every);
  else pulse.textContent = "";
})();
