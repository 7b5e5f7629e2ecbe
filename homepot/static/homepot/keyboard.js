"use strict";

// The theme opens menus by clicks on elements that no key reaches. Each gets a place in the order
// of the tab key, is named as the button it is, and answers to Enter and the space bar.
(() => {
  const NAMES = {
    add: "Add",
    arrow_back: "Back",
    dock_to_right: "Navigation",
    more_horiz: "More",
    search: "Search",
    unfold_more: "Account",
  };

  const nameOf = (element) => {
    const text = element.textContent.trim();
    return NAMES[text] ?? (element.querySelector("[x-text]") ? "Theme" : null);
  };

  const isReached = (element) => element.matches("a[href], button, input, select, textarea, summary");

  const makeReachable = (element) => {
    if (isReached(element) || element.hasAttribute("tabindex") || element.id === "changelist-filter-close") {
      return;
    }
    element.tabIndex = 0;
    element.setAttribute("role", "button");
    const name = nameOf(element);
    if (name !== null) {
      element.setAttribute("aria-label", name);
    }
    element.addEventListener("keydown", (event) => {
      if (event.target === element && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        element.click();
      }
    });
  };

  const openFilters = (element) => {
    element.addEventListener("click", () => {
      // Once it is there to be seen.
      setTimeout(() => document.querySelector("#filter-form :is(input:not([type=hidden]), select)")?.focus(), 50);
    });
  };

  // What is chosen by typing a part of a name stands behind the select that has the label.
  const nameChoice = (field) => {
    const select = field.previousElementSibling;
    const label = select?.labels?.[0]?.textContent.trim() || "Choose";
    for (const part of field.querySelectorAll("[role=combobox], [role=textbox], [role=searchbox]")) {
      part.setAttribute("aria-label", label);
    }
  };

  // They are made by another script, whenever it gets to it.
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node instanceof Element && node.matches(".select2-container")) {
          nameChoice(node);
        }
      }
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("DOMContentLoaded", () => {
    // What is no navigation, so that one can go straight to it.
    (document.getElementById("main") ?? document.getElementById("page"))?.setAttribute("role", "main");
    for (const element of document.querySelectorAll("[x-on\\:click]")) {
      makeReachable(element);
      if (element.getAttribute("x-on:click").includes("filterOpen = true")) {
        openFilters(element);
      }
    }
    for (const link of document.querySelectorAll("a[href], button")) {
      const text = link.textContent.trim();
      if (!link.matches("[aria-label], [title]") && (text === "" || text in NAMES)) {
        link.setAttribute("aria-label", NAMES[text] ?? "Overview");
      }
    }
    // Symbols are ligatures of words such as "dock_to_right", which nobody should be read.
    for (const symbol of document.querySelectorAll(".material-symbols-outlined:not([x-on\\:click])")) {
      symbol.setAttribute("aria-hidden", "true");
    }
  });
})();
