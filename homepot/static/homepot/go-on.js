// Sends the form of a page on that says how far something is, once it can be read.
"use strict";

const form = document.querySelector("form[data-homepot-go-on]");
if (form) {
  const timer = setTimeout(() => form.requestSubmit(), 300);
  // Whoever stops here has it stopped.
  document.addEventListener("click", () => clearTimeout(timer));
}
