"use strict";

// Keeps parts of a page up to date: <section id="now" data-homepot-live="URL">, asked for again
// every data-homepot-seconds, until it comes without that address. What differs is changed in
// place, so that focus, selection, open details and the place one has scrolled to stay.
(() => {
  const KEPT = { DETAILS: "open", INPUT: "value" };

  const sameAttributes = (old, fresh) => {
    for (const { name, value } of [...fresh.attributes]) {
      if (KEPT[old.tagName] !== name && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (KEPT[old.tagName] !== name && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
  };

  const keyOf = (node) => node.dataset?.key;
  const fits = (old, fresh) =>
    old && old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);

  const becomes = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    sameAttributes(old, fresh);
    const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
    const wanted = new Set([...fresh.children].map(keyOf));
    for (const [key, child] of keyed) if (!wanted.has(key)) child.remove();
    let place = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const known = keyed.get(keyOf(child));
      if (known && known !== place) old.insertBefore(known, place);
      const there = known ?? place;
      if (fits(there, child)) {
        becomes(there, child);
        place = there.nextSibling;
      } else {
        old.insertBefore(document.importNode(child, true), place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  const follow = (part) => {
    const stale = document.getElementById(`${part.id}-stale`);
    let since = new Date();

    const later = () => setTimeout(update, 1000 * Number(part.dataset.homepotSeconds));
    const update = async () => {
      if (document.hidden) return later();
      try {
        const answer = await fetch(part.dataset.homepotLive, { redirect: "manual" });
        if (!answer.ok) throw new Error(answer.statusText);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(part.id);
        if (fresh.dataset.homepotState !== part.dataset.homepotState) return location.reload();
        const focused = document.activeElement;
        becomes(part, fresh);
        if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
        since = new Date();
        if (stale) stale.hidden = true;
      } catch {
        // Told once: a reader of the screen hears it when it appears.
        if (stale && stale.hidden) {
          stale.textContent = `Not up to date since ${since.toLocaleTimeString()}: the server does not answer, or you are signed out.`;
          stale.hidden = false;
        }
      }
      if (part.dataset.homepotLive) later();
    };
    later();
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-homepot-live]").forEach(follow);
  });
})();
