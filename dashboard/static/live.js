// The live part of SAM's pages. Without it the pages are whole but stand still.
"use strict";
(() => {
  const body = document.body;
  const $ = (id) => document.getElementById(id);
  const log = $("log"), threads = $("threads"), link = $("link"), follow = $("follow");
  const blockSize = 200;

  // Times are shown as the reader's own clock has them, in one format: 13:30:15, after the day where that is not clear.
  const two = (n) => String(n).padStart(2, "0");
  const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const clock = (d) => two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  const day = (d) => d.getDate() + " " + months[d.getMonth()];
  const localize = (root) => {
    for (const t of root.querySelectorAll("time[data-clock], time[data-day]")) {
      const d = new Date(t.dateTime);
      if (isNaN(d)) continue;
      t.title = day(d) + " " + d.getFullYear() + ", " + clock(d);
      t.textContent = "clock" in t.dataset ? clock(d) : day(d) + ", " + clock(d);
    }
  };
  const ago = (seconds) => seconds < 60 ? seconds + " s"
    : seconds < 3600 ? Math.floor(seconds / 60) + " min " + two(seconds % 60) + " s"
      : Math.floor(seconds / 3600) + " h " + two(Math.floor(seconds / 60) % 60) + " min";
  const tick = () => {
    for (const t of document.querySelectorAll("time.since")) {
      t.textContent = ago(Math.max(0, Math.floor((Date.now() - new Date(t.dateTime)) / 1000)));
    }
  };
  const parse = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    localize(t.content);
    return t.content;
  };

  // The end of the page is followed until the reader scrolls up.
  let following = false, lastTop = window.scrollY;
  const atEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 48;
  const setFollowing = (on) => {
    following = on;
    if (!follow) return;
    follow.setAttribute("aria-pressed", String(on));
    follow.querySelector(".words").textContent = on ? "Following" : "Follow";
  };
  const toEnd = () => {
    if (!following) return;
    window.scrollTo(0, document.documentElement.scrollHeight);
    lastTop = window.scrollY;
  };
  if (follow) {
    follow.hidden = false;
    follow.addEventListener("click", () => { setFollowing(!following); toEnd(); });
    let byHand = 0; // a browser scrolls by itself too, when something above grows
    for (const kind of ["wheel", "touchmove", "keydown"]) {
      window.addEventListener(kind, () => { byHand = performance.now(); }, { passive: true });
    }
    window.addEventListener("scroll", () => {
      const top = window.scrollY;
      if (top < lastTop - 2 && !atEnd()) setFollowing(false);
      else if (top > lastTop + 2 && atEnd() && performance.now() - byHand < 1000) setFollowing(true);
      lastTop = top;
    }, { passive: true });
    // Who opens something wants to read it.
    document.addEventListener("click", (e) => { if (e.target.closest && e.target.closest("summary")) setFollowing(false); });
  }

  // Events, each once, in their order, in blocks that the browser leaves undrawn while they are out of sight.
  const blockFor = (seq) => {
    const index = Math.floor((seq - 1) / blockSize);
    let next = null;
    for (const b of log.querySelectorAll(".block")) {
      if (+b.dataset.block === index) return b;
      if (+b.dataset.block > index) { next = b; break; }
    }
    const b = document.createElement("section");
    b.className = "block";
    b.dataset.block = index;
    log.insertBefore(b, next);
    return b;
  };
  const insertEvent = (el) => {
    if ($(el.id)) return false;
    const seq = +el.dataset.seq, block = blockFor(seq);
    let before = null;
    for (let c = block.lastElementChild; c && +c.dataset.seq > seq; c = c.previousElementSibling) before = c;
    block.insertBefore(el, before);
    $("empty").hidden = true;
    return true;
  };
  const settle = (el) => {
    const open = log.querySelectorAll(".f-open");
    if (el.dataset.kind === "finished") for (const o of open) o.classList.replace("f-open", "f-left");
    if (el.dataset.kind !== "tool_finished") return;
    for (const o of open) {
      if (o.dataset.tool === el.dataset.tool && +o.dataset.seq < +el.dataset.seq) o.classList.replace("f-open", "f-settled");
    }
  };
  const later = (a, b) => { // of two positions "<n>-<m>"
    const [x, y] = a.split("-"), [u, v] = b.split("-");
    return x.length !== u.length ? x.length > u.length : x !== u ? x > u : +y > +v;
  };
  const insertEntry = (m) => {
    const el = parse(m.html).firstElementChild;
    if ($(el.id)) return false;
    let section = $("thread-" + m.thread);
    if (!section) section = parse(m.frame).firstElementChild;
    if (section !== threads.lastElementChild) threads.append(section); // the newest at the bottom
    const entries = section.querySelector(".entries");
    let before = null;
    for (let c = entries.lastElementChild; c && later(c.dataset.seq, el.dataset.seq); c = c.previousElementSibling) before = c;
    entries.insertBefore(el, before);
    $("empty").hidden = true;
    return true;
  };

  let refreshing = false, again = false;
  const refresh = async () => { // the first page is small: it is fetched anew
    if (refreshing) { again = true; return; }
    refreshing = true;
    try {
      const answer = await fetch(location.href);
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
        localize(fresh);
        const focus = document.activeElement && document.activeElement.getAttribute("href");
        document.querySelector("main").replaceWith(fresh);
        if (focus) { const back = fresh.querySelector('a[href="' + CSS.escape(focus) + '"]'); if (back) back.focus(); }
      }
    } catch { /* the next entry tries again */ }
    refreshing = false;
    if (again) { again = false; refresh(); }
  };

  const onEntry = (m) => {
    if (log) {
      const el = parse(m.html).firstElementChild;
      if (!insertEvent(el)) return;
      settle(el);
      if (el.dataset.kind === "asked") $("said").textContent = "The agent asks a question.";
    } else if (threads) {
      if (!insertEntry(m)) return;
    } else {
      refresh();
      return;
    }
    toEnd();
  };
  const onStatus = (m) => {
    for (const [id, part] of Object.entries(m.parts)) {
      const el = $(id);
      if (!el || el.dataset.version === part.version) continue;
      el.replaceChildren(parse(part.html));
      el.dataset.version = part.version;
    }
    tick();
    if (m.state !== body.dataset.state) {
      if (body.dataset.state) $("said").textContent = m.words;
      body.dataset.state = m.state;
    }
    if (m.final) {
      for (const o of log.querySelectorAll(".f-open")) o.classList.replace("f-open", "f-left");
    }
    toEnd();
  };

  // One stream for the page. It comes back by itself with Last-Event-ID; a dead one that does not notice is replaced.
  let source = null, from = body.dataset.from || "", heard = 0;
  const say = (state, words) => {
    if (!link || link.dataset.state === state) return;
    link.dataset.state = state;
    link.querySelector(".words").textContent = words;
  };
  const connect = () => {
    if (source) source.close();
    heard = Date.now();
    const here = source = new EventSource("/live?topics=" + encodeURIComponent(body.dataset.live) + "&from=" + encodeURIComponent(from));
    const on = (name, handle) => here.addEventListener(name, (e) => {
      if (here !== source) return;
      heard = Date.now();
      if (handle) handle(JSON.parse(e.data));
      if (e.lastEventId) from = e.lastEventId;
    });
    here.onopen = () => { heard = Date.now(); say("on", "Live"); };
    here.onerror = () => say("lost", "Reconnecting");
    on("entry", onEntry);
    on("status", onStatus);
    on("heartbeat", null);
    on("reset", () => { here.close(); source = null; location.reload(); });
  };
  if (body.dataset.live) {
    connect();
    setInterval(() => {
      if (source && (Date.now() - heard > 45000 || source.readyState === EventSource.CLOSED)) connect();
    }, 5000);
    window.addEventListener("pagehide", () => { if (source) source.close(); });
    window.addEventListener("pageshow", (e) => { if (e.persisted) connect(); });
  }

  // What the page does not hold is fetched when somebody wants to see it.
  const fetchPiece = async (url) => {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(String(answer.status));
    return parse(await answer.text());
  };
  document.addEventListener("toggle", async (e) => {
    const url = e.target.dataset && e.target.dataset.body;
    if (!url || !e.target.open) return;
    delete e.target.dataset.body;
    try {
      e.target.querySelector(".body").replaceChildren(await fetchPiece(url));
    } catch {
      e.target.dataset.body = url; // the link to it still stands there
    }
  }, true);
  document.addEventListener("click", async (e) => {
    const a = e.target.closest && e.target.closest("a[data-raw]");
    if (!a || e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    const shown = a.nextElementSibling;
    if (shown) { shown.remove(); return; }
    try { a.after(await fetchPiece(a.href)); } catch { location.assign(a.href); }
  });
  const raw = $("raw");
  if (raw) {
    raw.hidden = false;
    raw.addEventListener("click", () => {
      const on = raw.getAttribute("aria-pressed") !== "true";
      raw.setAttribute("aria-pressed", String(on));
      log.toggleAttribute("data-raw", on);
    });
  }

  // Earlier events, and links to one event.
  const earlier = async () => {
    const a = log && log.querySelector(".earlier a");
    if (!a) return false;
    const answer = await fetch(a.href);
    if (!answer.ok) return false;
    const older = new DOMParser().parseFromString(await answer.text(), "text/html");
    const height = document.documentElement.scrollHeight, top = window.scrollY;
    a.parentElement.remove();
    const events = [...older.querySelectorAll("#log .event")];
    for (const el of events) { localize(el); insertEvent(el); }
    for (const el of events) settle(el);
    const more = older.querySelector("#log .earlier");
    if (more) log.prepend(more);
    window.scrollTo(0, top + document.documentElement.scrollHeight - height);
    return true;
  };
  if (log) {
    log.addEventListener("click", (e) => {
      const a = e.target.closest(".earlier a");
      if (!a) return;
      e.preventDefault();
      setFollowing(false);
      earlier().then((done) => { if (!done) location.assign(a.href); });
    });
  }
  const goTo = async () => {
    const id = location.hash.slice(1);
    if (!log || !/^e\d+$/.test(id)) return false;
    setFollowing(false);
    for (let i = 0; !$(id) && i < 500; i++) if (!await earlier()) break;
    let el = $(id);
    if (!el) return false;
    if (el.classList.contains("f-settled")) { // its end tells more
      const end = [...log.querySelectorAll(".k-tool_finished")].find((o) => o.dataset.tool === el.dataset.tool && +o.dataset.seq > +el.dataset.seq);
      if (end) el = end;
    }
    for (const t of document.querySelectorAll(".target")) t.classList.remove("target");
    el.classList.add("target");
    const details = el.querySelector("details");
    if (details) details.open = true;
    el.scrollIntoView({ block: "center" });
    return true;
  };
  window.addEventListener("hashchange", goTo);

  localize(document);
  tick();
  setInterval(tick, 1000);
  if ("tail" in body.dataset && !location.hash && follow) { setFollowing(true); toEnd(); }
  goTo();
})();
